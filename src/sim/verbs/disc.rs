//! Discs in CD drives (xapi `xapi_vbd.ml` `insert`, `eject`).

use crate::sim::call::Call;
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, refused};
use crate::sim::row::Class;

/// `vbd-insert`
pub fn insert(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    pool.get(Class::Vbd, &uuid)?;
    let vdi = call.command.need("vdi-uuid")?.to_owned();
    insert_disc(pool, &uuid, &vdi)
}

/// Puts a disc into an empty drive.
pub fn insert_disc(pool: &mut Pool, uuid: &str, vdi: &str) -> Outcome<()> {
    let managed = pool.get(Class::Vdi, vdi)?.is("managed");
    removable(pool, uuid)?;
    if !pool.get(Class::Vbd, uuid)?.is("empty") {
        return Err(refused("VBD_NOT_EMPTY", vec![pool.param(Class::Vbd, uuid)]));
    }
    if !managed {
        return Err(refused("VDI_NOT_MANAGED", vec![pool.param(Class::Vdi, vdi)]));
    }
    let row = pool.edit(Class::Vbd, uuid)?;
    row.set("vdi-uuid", vdi.to_owned());
    row.set("empty", "false");
    Ok(())
}

/// `vbd-eject`
pub fn eject(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    eject_disc(pool, &uuid)
}

/// Takes the disc out of a drive.
pub fn eject_disc(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    removable(pool, uuid)?;
    if pool.get(Class::Vbd, uuid)?.is("empty") {
        return Err(refused("VBD_IS_EMPTY", vec![pool.param(Class::Vbd, uuid)]));
    }
    let row = pool.edit(Class::Vbd, uuid)?;
    row.set("vdi-uuid", "");
    row.set("empty", "true");
    Ok(())
}

fn removable(pool: &Pool, uuid: &str) -> Outcome<()> {
    let row = pool.get(Class::Vbd, uuid)?;
    lifecycle::expect(pool, row.get("vm-uuid"), &["halted", "running", "paused"])?;
    if row.get("type") != "CD" {
        return Err(refused("VBD_NOT_REMOVABLE_MEDIA", vec![pool.param(Class::Vbd, uuid)]));
    }
    Ok(())
}
