//! Disks that go, or whose records do (xapi `xapi_vdi.ml` `destroy`, `forget`).

use crate::sim::call::Call;
use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::Class;
use crate::sim::storage::{self, Op};

pub fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    destroy_disk(pool, &uuid)
}

/// Destroys a disk that nothing is attached to; its VBDs lose it.
pub fn destroy_disk(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    storage::check(pool, pool.get(Class::Vdi, uuid)?, Op::Destroy)?;
    drop_vbds(pool, uuid)?;
    storage::remove(pool, uuid)
}

/// A VDI goes, and with it the disks of VMs that were it; drives become empty.
pub fn drop_vbds(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    for vbd in pool.referring_uuids(Class::Vbd, "vdi-uuid", uuid) {
        if pool.get(Class::Vbd, &vbd)?.get("type") == "CD" {
            let row = pool.edit(Class::Vbd, &vbd)?;
            row.set("vdi-uuid", "");
            row.set("empty", "true");
        } else {
            pool.remove(Class::Vbd, &vbd);
        }
    }
    Ok(())
}

pub fn forget(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    storage::check(pool, pool.get(Class::Vdi, &uuid)?, Op::Forget)?;
    drop_vbds(pool, &uuid)?;
    pool.remove(Class::Vdi, &uuid);
    Ok(())
}
