//! Clones, snapshots and copies of disks, and disks that move (xapi `xapi_vdi.ml`, `xapi_vm_migrate.ml`).

use crate::sim::call::Call;
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::{Outcome, Param, cli, refused};
use crate::sim::row::Class;
use crate::sim::storage::{self, Op};
use crate::sim::verbs::cloning::{How, copy_disk};
use crate::sim::verbs::machine;

pub fn clone(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let made = copy_disk(pool, &uuid, How::Clone)?;
    let row = pool.edit(Class::Vdi, &made)?;
    for (param, field) in [("new-name-label", "name-label"), ("new-name-description", "name-description")] {
        if let Some(value) = call.command.get(param) {
            row.set(field, value.to_owned());
        }
    }
    call.out.list(&[made]);
    Ok(())
}

pub fn snapshot(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    pool.get(Class::Vdi, &uuid)?;
    let made = copy_disk(pool, &uuid, How::Snapshot { checkpoint: false })?;
    call.out.list(&[made]);
    Ok(())
}

pub fn copy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = call.command.clone();
    let uuid = pool.get(Class::Vdi, command.need("uuid")?)?.uuid.to_string();
    if let Some(base) = command.get("base-vdi-uuid") {
        pool.get(Class::Vdi, base)?;
    }
    let made = match (command.get("sr-uuid"), command.get("into-vdi-uuid")) {
        (Some(sr), None) => {
            let sr = pool.get(Class::Sr, sr)?.uuid.to_string();
            storage::check(pool, pool.get(Class::Vdi, &uuid)?, Op::Copy)?;
            copy_disk(pool, &uuid, How::Copy(Some(&sr)))?
        }
        (None, Some(into)) => {
            let into = pool.get(Class::Vdi, into)?;
            let (room, into) = (into.number("virtual-size"), into.uuid.to_string());
            if room < pool.get(Class::Vdi, &uuid)?.number("virtual-size") {
                let params = vec![pool.param(Class::Vdi, &into), Param::text(room.to_string())];
                return Err(refused("VDI_TOO_SMALL", params));
            }
            storage::check(pool, pool.get(Class::Vdi, &uuid)?, Op::Copy)?;
            storage::check_unused(pool, &into, "copy", false)?;
            pool.bytes.push(Bytes::Copy(uuid.clone(), into.clone()));
            pool.edit(Class::Vdi, &into)?;
            into
        }
        _ => {
            return cli(
                "Please specify one but not both of: a destination sr-uuid (I will create a fresh VDI); or a \
                 destination into-vdi-uuid (I will copy the blocks into this VDI)",
            );
        }
    };
    call.out.list(&[made]);
    Ok(())
}

pub fn pool_migrate(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = pool.get(Class::Vdi, call.command.need("uuid")?)?.uuid.to_string();
    let sr = pool.get(Class::Sr, call.command.need("sr-uuid")?)?.uuid.to_string();
    let user = storage::attached(pool, &uuid).first().map(|vbd| vbd.get("vm-uuid").to_owned());
    let running = user.as_ref().and_then(|vm| pool.find(Class::Vm, vm));
    let Some(vm) = running.filter(|vm| vm.get("power-state") == "running") else {
        return Err(refused("VDI_NEEDS_VM_FOR_MIGRATE", vec![pool.param(Class::Vdi, &uuid)]));
    };
    let host = vm.get("resident-on").to_owned();
    if !storage::is_reachable(pool, &sr, &host) {
        let vm = vm.uuid.to_string();
        return Err(machine::about(pool, "VM_REQUIRES_SR", &vm, Class::Sr, &sr));
    }
    let made = move_disk(pool, &uuid, &sr)?;
    call.out.list(&[made]);
    Ok(())
}

/// Moves a disk to another SR under its VBDs: it gets another uuid, and no tags. XAPI makes it anew of what its storage
/// layer knows, the name among it (xapi_vm_migrate.ml `intra_pool_vdi_remap`, storage_smapiv1.ml `VDI.create`).
pub fn move_disk(pool: &mut Pool, uuid: &str, sr: &str) -> Outcome<String> {
    storage::check(pool, pool.get(Class::Vdi, uuid)?, Op::Mirror)?;
    let made = copy_disk(pool, uuid, How::Copy(Some(sr)))?;
    pool.edit(Class::Vdi, &made)?.take_all("tags");
    for vbd in pool.referring_uuids(Class::Vbd, "vdi-uuid", uuid) {
        pool.set(Class::Vbd, &vbd, "vdi-uuid", &made)?;
    }
    for taken in pool.referring_uuids(Class::Vdi, "snapshot-of", uuid) {
        pool.set(Class::Vdi, &taken, "snapshot-of", &made)?;
    }
    storage::remove(pool, uuid)?;
    Ok(made)
}
