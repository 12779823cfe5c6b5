//! VDIs: making, copying, resizing, moving and destroying disks (xapi `xapi_vdi.ml`).

use super::cloning::{How, copy_disk};
use super::{power, vdi_bytes};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::{Outcome, Param, cli, internal, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vdi-create",
        required: &["sr-uuid", "name-label", "virtual-size"],
        optional: &["sm-config:", "sharable", "tags:", "type"],
        run: Run::Changes(create),
    },
    Verb { name: "vdi-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy) },
    Verb { name: "vdi-forget", required: &["uuid"], optional: &[], run: Run::Changes(forget) },
    Verb {
        name: "vdi-introduce",
        required: &["uuid", "sr-uuid", "type", "location"],
        optional: &[
            "name-description",
            "sharable",
            "read-only",
            "other-config:",
            "xenstore-data:",
            "sm-config:",
            "name-label",
        ],
        run: Run::Changes(introduce),
    },
    Verb {
        name: "vdi-clone",
        required: &["uuid"],
        optional: &["driver-params-", "new-name-label", "new-name-description"],
        run: Run::Changes(clone),
    },
    Verb {
        name: "vdi-snapshot",
        required: &["uuid"],
        optional: &["driver-params-"],
        run: Run::Changes(snapshot),
    },
    Verb {
        name: "vdi-copy",
        required: &["uuid"],
        optional: &["sr-uuid", "base-vdi-uuid", "into-vdi-uuid"],
        run: Run::Changes(copy),
    },
    Verb {
        name: "vdi-resize",
        required: &["uuid", "disk-size"],
        optional: &["online"],
        run: Run::Changes(resize),
    },
    Verb {
        name: "vdi-pool-migrate",
        required: &["uuid", "sr-uuid"],
        optional: &[],
        run: Run::Changes(pool_migrate),
    },
    Verb { name: "vdi-update", required: &["uuid"], optional: &[], run: Run::Changes(update) },
    Verb { name: "vdi-unlock", required: &["uuid"], optional: &["force"], run: Run::Changes(unlock) },
    Verb { name: "vdi-enable-cbt", required: &["uuid"], optional: &[], run: Run::Changes(enable_cbt) },
    Verb { name: "vdi-disable-cbt", required: &["uuid"], optional: &[], run: Run::Changes(disable_cbt) },
    Verb {
        name: "vdi-import",
        required: &["uuid", "filename"],
        optional: &["format", "progress"],
        run: Run::Waits(vdi_bytes::import),
    },
    Verb {
        name: "vdi-export",
        required: &["uuid", "filename"],
        optional: &["format", "base", "progress"],
        run: Run::Waits(vdi_bytes::export),
    },
];

fn kind(name: &str) -> Outcome<&'static str> {
    match name {
        "system" => Ok("System"),
        "user" => Ok("User"),
        "suspend" => Ok("Suspend"),
        "crashdump" => Ok("Crashdump"),
        _ => cli(format!("Unknown vdi type: {name}")),
    }
}

fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = &call.command;
    let sr = pool.get(Class::Sr, command.need("sr-uuid")?)?.uuid.to_string();
    let size = command.bytes("virtual-size")?;
    let kind = kind(command.get("type").unwrap_or("user"))?;
    let sharable = command.flag("sharable", false)?;
    let mut row = new_disk(pool, &sr, command.need("name-label")?, size)?;
    row.set("type", kind);
    row.set("sharable", sharable.to_string());
    for (key, value) in command.map("sm-config").iter().rev() {
        row.put("sm-config", key, (*value).to_owned());
    }
    for (tag, _) in command.map("tags").iter().rev() {
        row.put("tags", tag, "");
    }
    let uuid = row.uuid.to_string();
    pool.insert(row);
    call.out.list(&[uuid]);
    Ok(())
}

/// The row of a new disk, once the SR has agreed to it.
pub fn new_disk(pool: &mut Pool, sr: &str, name: &str, size: i64) -> Outcome<Row> {
    if !pool.referring(Class::Pbd, "sr-uuid", sr).iter().any(|pbd| pbd.is("currently-attached")) {
        return Err(refused("SR_NO_PBDS", vec![pool.param(Class::Sr, sr)]));
    }
    if pool.get(Class::Sr, sr)?.is("is-tools-sr") {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, sr)]));
    }
    storage::check_size(size)?;
    storage::check_room(pool, sr, size)?;
    let mut row = Row::new(Class::Vdi, pool.new_uuid());
    row.set("name-label", name.to_owned());
    row.set("sr-uuid", sr.to_owned());
    row.set("location", row.uuid.clone());
    row.set("virtual-size", size.to_string());
    row.set("physical-utilisation", size.to_string());
    Ok(row)
}

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    destroy_disk(pool, &uuid)
}

/// Destroys a disk that nothing is attached to; its VBDs lose it.
pub fn destroy_disk(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let sr = pool.get(Class::Vdi, uuid)?.get("sr-uuid").to_owned();
    storage::check_unused(pool, uuid, "destroy", false)?;
    if pool.find(Class::Sr, &sr).is_some_and(|sr| sr.is("is-tools-sr")) {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, &sr)]));
    }
    drop_disk(pool, uuid)?;
    pool.bytes.push(Bytes::Delete(uuid.to_owned()));
    Ok(())
}

/// The record of a VDI goes, and with it the disks of VMs that were it; drives become empty.
fn drop_disk(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    for vbd in pool.referring_uuids(Class::Vbd, "vdi-uuid", uuid) {
        if pool.get(Class::Vbd, &vbd)?.get("type") == "CD" {
            let row = pool.edit(Class::Vbd, &vbd)?;
            row.set("vdi-uuid", "");
            row.set("empty", "true");
        } else {
            pool.remove(Class::Vbd, &vbd);
        }
    }
    pool.remove(Class::Vdi, uuid);
    Ok(())
}

fn forget(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    pool.get(Class::Vdi, &uuid)?;
    storage::check_unused(pool, &uuid, "forget", false)?;
    drop_disk(pool, &uuid)
}

/// The storage below knows no disk whose record is not there.
fn introduce(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Sr, call.command.need("sr-uuid")?)?;
    kind(call.command.need("type")?)?;
    let location = call.command.need("location")?;
    Err(internal(format!("Storage_error ([S(Vdi_does_not_exist);S({location})])")))
}

fn clone(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let sr = pool.get(Class::Vdi, &uuid)?.get("sr-uuid");
    if storage::is_iso(pool, sr) {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, sr)]));
    }
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

fn snapshot(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    pool.get(Class::Vdi, &uuid)?;
    let made = copy_disk(pool, &uuid, How::Snapshot { checkpoint: false })?;
    call.out.list(&[made]);
    Ok(())
}

fn copy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = call.command.clone();
    let uuid = pool.get(Class::Vdi, command.need("uuid")?)?.uuid.to_string();
    if let Some(base) = command.get("base-vdi-uuid") {
        pool.get(Class::Vdi, base)?;
    }
    let made = match (command.get("sr-uuid"), command.get("into-vdi-uuid")) {
        (Some(sr), None) => {
            let sr = pool.get(Class::Sr, sr)?.uuid.to_string();
            storage::check_unused(pool, &uuid, "copy", true)?;
            copy_disk(pool, &uuid, How::Copy(Some(&sr)))?
        }
        (None, Some(into)) => {
            let into = pool.get(Class::Vdi, into)?;
            let (room, into) = (into.number("virtual-size"), into.uuid.to_string());
            if room < pool.get(Class::Vdi, &uuid)?.number("virtual-size") {
                let params = vec![pool.param(Class::Vdi, &into), Param::text(room.to_string())];
                return Err(refused("VDI_TOO_SMALL", params));
            }
            storage::check_unused(pool, &uuid, "copy", true)?;
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

fn resize(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let row = pool.get(Class::Vdi, &uuid)?;
    let (old, sr) = (row.number("virtual-size"), row.get("sr-uuid").to_owned());
    let size = call.command.bytes("disk-size")?;
    let (online, can) = (call.command.get("online") == Some("true"), storage::grows_online(pool, row));
    if online && !can {
        return Err(refused("MESSAGE_REMOVED", vec![]));
    }
    if !online {
        storage::check_unused(pool, &uuid, "resize", false)?;
    }
    if size < old {
        return Err(storage::backend(79, "VDI Invalid size [opterr=shrinking not allowed]"));
    }
    storage::check_size(size)?;
    storage::check_room(pool, &sr, size - old)?;
    let row = pool.edit(Class::Vdi, &uuid)?;
    row.set("virtual-size", size.to_string());
    row.set("physical-utilisation", size.to_string());
    Ok(())
}

fn pool_migrate(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
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
        return Err(super::machine::about(pool, "VM_REQUIRES_SR", &vm, Class::Sr, &sr));
    }
    let made = move_disk(pool, &uuid, &sr)?;
    call.out.list(&[made]);
    Ok(())
}

/// Moves a disk to another SR under its VBDs: it gets another uuid.
pub fn move_disk(pool: &mut Pool, uuid: &str, sr: &str) -> Outcome<String> {
    if pool.get(Class::Vdi, uuid)?.is("cbt-enabled") {
        return Err(refused("VDI_CBT_ENABLED", vec![pool.param(Class::Vdi, uuid)]));
    }
    let made = copy_disk(pool, uuid, How::Copy(Some(sr)))?;
    for vbd in pool.referring_uuids(Class::Vbd, "vdi-uuid", uuid) {
        pool.set(Class::Vbd, &vbd, "vdi-uuid", &made)?;
    }
    for taken in pool.referring_uuids(Class::Vdi, "snapshot-of", uuid) {
        pool.set(Class::Vdi, &taken, "snapshot-of", &made)?;
    }
    pool.remove(Class::Vdi, uuid);
    pool.bytes.push(Bytes::Delete(uuid.to_owned()));
    Ok(made)
}

fn update(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Vdi, call.command.need("uuid")?).map(|_| ())
}

fn unlock(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Vdi, call.command.need("uuid")?)?;
    power::forced(call)
}

fn enable_cbt(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.set(Class::Vdi, call.command.need("uuid")?, "cbt-enabled", "true")
}

fn disable_cbt(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.set(Class::Vdi, call.command.need("uuid")?, "cbt-enabled", "false")
}
