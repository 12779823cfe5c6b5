//! VDIs: making, copying, resizing, moving and destroying disks (xapi `xapi_vdi.ml`).

mod bytes;
mod copies;
mod tracking;

pub use copies::move_disk;

use super::power;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, internal, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage::{self, Op};

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
        run: Run::Changes(copies::clone),
    },
    Verb {
        name: "vdi-snapshot",
        required: &["uuid"],
        optional: &["driver-params-"],
        run: Run::Changes(copies::snapshot),
    },
    Verb {
        name: "vdi-copy",
        required: &["uuid"],
        optional: &["sr-uuid", "base-vdi-uuid", "into-vdi-uuid"],
        run: Run::Changes(copies::copy),
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
        run: Run::Changes(copies::pool_migrate),
    },
    Verb { name: "vdi-update", required: &["uuid"], optional: &[], run: Run::Changes(update) },
    Verb { name: "vdi-unlock", required: &["uuid"], optional: &["force"], run: Run::Changes(unlock) },
    Verb { name: "vdi-enable-cbt", required: &["uuid"], optional: &[], run: Run::Changes(tracking::enable) },
    Verb {
        name: "vdi-disable-cbt",
        required: &["uuid"],
        optional: &[],
        run: Run::Changes(tracking::disable),
    },
    Verb {
        name: "vdi-data-destroy",
        required: &["uuid"],
        optional: &[],
        run: Run::Changes(tracking::data_destroy),
    },
    Verb {
        name: "vdi-list-changed-blocks",
        required: &["vdi-from-uuid", "vdi-to-uuid"],
        optional: &[],
        run: Run::Reads(tracking::list_changed_blocks),
    },
    Verb {
        name: "vdi-import",
        required: &["uuid", "filename"],
        optional: &["format", "progress"],
        run: Run::Waits(bytes::import),
    },
    Verb {
        name: "vdi-export",
        required: &["uuid", "filename"],
        optional: &["format", "base", "progress"],
        run: Run::Waits(bytes::export),
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
    if !storage::is_plugged(pool, sr) {
        return Err(refused("SR_NO_PBDS", vec![pool.param(Class::Sr, sr)]));
    }
    if pool.get(Class::Sr, sr)?.is("is-tools-sr") {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, sr)]));
    }
    storage::check_size(size)?;
    storage::check_new(pool, sr, size)?;
    let mut row = Row::new(Class::Vdi, pool.new_uuid());
    row.set("name-label", name.to_owned());
    row.set("sr-uuid", sr.to_owned());
    row.set("location", row.uuid.clone());
    row.set("virtual-size", size.to_string());
    Ok(row)
}

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
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
fn drop_vbds(pool: &mut Pool, uuid: &str) -> Outcome<()> {
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

fn forget(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    storage::check(pool, pool.get(Class::Vdi, &uuid)?, Op::Forget)?;
    drop_vbds(pool, &uuid)?;
    pool.remove(Class::Vdi, &uuid);
    Ok(())
}

/// The storage below knows no disk whose record is not there.
fn introduce(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Sr, call.command.need("sr-uuid")?)?;
    kind(call.command.need("type")?)?;
    let location = call.command.need("location")?;
    Err(internal(format!("Storage_error ([S(Vdi_does_not_exist);S({location})])")))
}

fn resize(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    let row = pool.get(Class::Vdi, &uuid)?;
    let (old, sr) = (row.number("virtual-size"), row.get("sr-uuid").to_owned());
    let size = call.command.bytes("disk-size")?;
    let online = call.command.get("online") == Some("true");
    if online && storage::check(pool, row, Op::ResizeOnline).is_err() {
        return Err(refused("MESSAGE_REMOVED", vec![]));
    }
    if !online {
        storage::check(pool, row, Op::Resize)?;
    }
    if size < old {
        return Err(storage::backend(79, "VDI Invalid size [opterr=shrinking not allowed]"));
    }
    storage::check_size(size)?;
    storage::check_growth(pool, &sr, old, size)?;
    let row = pool.edit(Class::Vdi, &uuid)?;
    row.set("virtual-size", size.to_string());
    Ok(())
}

fn update(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Vdi, call.command.need("uuid")?).map(|_| ())
}

fn unlock(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Vdi, call.command.need("uuid")?)?;
    power::forced(call)
}
