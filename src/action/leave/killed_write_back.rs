//! What `save` leaves in the pool when it is killed while it writes a disk back: its snapshot, and its mark on the disk.

use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vdi;
use crate::xe::{Record, Uuid, Xe, time};

/// A VDI with the mark of the attempt.
struct Marked {
    uuid: Uuid,
    is_used: bool,
    is_a_snapshot: bool,
    of: Option<Uuid>,
    /// Seconds since 1970.
    taken: Option<u64>,
}

/// Removes what this attempt has left. A snapshot that somebody else may have taken meanwhile stays.
pub fn clear(xe: &Xe, attempt: &str) -> Result<()> {
    let of_attempt = format!("other-config:{}", mark::WRITE_BACK_ATTEMPT);
    let fields = ["uuid", "vbd-uuids", "is-a-snapshot", "snapshot-of", "snapshot-time"];
    let found = xe.list("vdi", &fields, &[(of_attempt.as_str(), attempt)], |record: &Record<'_>| {
        Ok(Marked {
            uuid: record.get("uuid")?,
            is_used: record.members("vbd-uuids").next().is_some(),
            is_a_snapshot: record.text("is-a-snapshot") == "true",
            of: record.optional("snapshot-of")?,
            taken: time::unix(record.text("snapshot-time")),
        })
    })?;
    // The disk first: from then on no snapshot that somebody takes of it has the mark.
    for disk in found.iter().filter(|vdi| !vdi.is_a_snapshot) {
        xe.run(&vdi::unmark(&disk.uuid, mark::WRITE_BACK_ATTEMPT))?;
    }
    for snapshot in found.iter().filter(|vdi| vdi.is_a_snapshot && !vdi.is_used) {
        let same = found.iter().filter(|other| other.is_a_snapshot && other.of == snapshot.of).count();
        if same > 1 || !mark::may_have_taken(attempt, snapshot.taken) {
            report::warn(format!(
                "snapshot {} of a disk may be a killed driver's or somebody's backup: it stays",
                snapshot.uuid
            ));
            continue;
        }
        report::info(format!("clearing away what a killed driver left: snapshot {}", snapshot.uuid));
        xe.run(&vdi::destroy(&snapshot.uuid))?;
    }
    Ok(())
}
