//! VDIs: making, copying, resizing, moving and destroying disks (xapi `xapi_vdi.ml`).

mod bytes;
mod copies;
mod create;
mod destroy;
mod tracking;

pub use copies::move_disk;
pub use create::new_disk;
pub use destroy::{destroy_disk, drop_vbds};

use super::power;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, refused};
use crate::sim::row::Class;
use crate::sim::storage::{self, Op};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vdi-create",
        required: &["sr-uuid", "name-label", "virtual-size"],
        optional: &["sm-config:", "sharable", "tags:", "type"],
        run: Run::Changes(create::create),
    },
    Verb { name: "vdi-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy::destroy) },
    Verb { name: "vdi-forget", required: &["uuid"], optional: &[], run: Run::Changes(destroy::forget) },
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
        run: Run::Changes(create::introduce),
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
