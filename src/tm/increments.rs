//! What an increment of a backup is made from: snapshots of a disk whose changes XAPI's storage tracks.
//!
//! After a backup its snapshot stays, without its data: only the log of what changed until then. The next backup asks
//! for the blocks that have changed from that snapshot to its own. A snapshot has a mark from its first moment: XAPI
//! gives it the `other-config` that the disk has at that time. As a killed driver may leave the mark on the disk, and
//! somebody may take a snapshot of that by hand, a second mark says which snapshots are ours to remove.

use crate::image::Part;
use crate::report::{self, Result};
use crate::storage::snapshot;
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::changed_blocks;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, failed_with, xe_error};
use anyhow::Context;
use std::collections::HashMap;

/// What a backup takes of a disk.
pub struct Taken {
    /// A snapshot or clone of it.
    pub snapshot: Uuid,
    /// Of the increment.
    number: u32,
    /// The changed blocks of a later increment; none if all of the disk is to be taken.
    changed: Option<Vec<u8>>,
}

impl Taken {
    /// All of the disk.
    pub fn whole(clone: Uuid) -> Taken {
        Taken { snapshot: clone, number: 0, changed: None }
    }

    pub fn part(&self) -> Part<'_> {
        match &self.changed {
            Some(bits) => Part::Changed(bits),
            // It stands over the increments before it, whatever they hold.
            None if self.number > 0 => Part::Over,
            None => Part::Whole,
        }
    }
}

/// The snapshots of the increment before this one: what each disk's changes are told from.
pub fn before(xe: &Xe, vm_id: u32, disk_ids: &[u32], number: u32) -> Result<HashMap<u32, Uuid>> {
    let mut found = HashMap::new();
    let Some(before) = number.checked_sub(1) else { return Ok(found) };
    for &disk_id in disk_ids {
        let name = mark::increment_name(vm_id, disk_id, before);
        if let Some(kept) = marked(xe, vm_id, Some(&name))?.pop() {
            found.insert(disk_id, kept);
        }
    }
    Ok(found)
}

/// Takes the snapshot for increment `number` of a disk. All disks' snapshots are taken before any of them is looked
/// at, so that they are of about one moment.
pub fn take(
    xe: &Xe,
    undo: &Undo<'_>,
    vm_id: u32,
    (disk_id, disk): &(u32, Vdi),
    number: u32,
) -> Result<Taken> {
    if !disk.is_tracked
        && let Err(error) = xe.run(&changed_blocks::track(&disk.uuid))
    {
        // What XAPI refuses is a matter of this SR; anything else concerns the backup.
        if !is_refused(&error) {
            return Err(error);
        }
        report::info(format!("changes of disk {disk_id} are not tracked: {error:#}"));
    }
    let attempt = mark::snapshot_attempt(vm_id);
    undo.by(vdi::unmark(&disk.uuid, mark::INCREMENT_ATTEMPT));
    xe.run(&vdi::mark(&disk.uuid, mark::INCREMENT_ATTEMPT, &attempt))?;
    let taken = xe.ask::<Uuid>(&vdi::snapshot(&disk.uuid));
    if let Ok(snapshot) = &taken {
        undo.by(vdi::destroy(snapshot));
    } else {
        // It may be there although the answer was lost.
        let of_attempt = format!("other-config:{}", mark::INCREMENT_ATTEMPT);
        for made in vdi::marked(xe, &[(&of_attempt, &attempt), ("is-a-snapshot", "true")])? {
            undo.by(vdi::destroy(&made));
        }
    }
    let snapshot = taken.with_context(|| format!("cannot take a snapshot of VDI {}", disk.uuid))?;
    xe.run(&vdi::unmark(&disk.uuid, mark::INCREMENT_ATTEMPT))?;
    let named = vdi::rename(&snapshot, &mark::increment_name(vm_id, *disk_id, number));
    xe.run(&named.set(format!("other-config:{}", mark::INCREMENT_OF), vm_id))?;
    Ok(Taken { snapshot, number, changed: None })
}

/// Finds out what has changed since the increment before; where that cannot be told, all of the disk is taken.
pub fn compare(xe: &Xe, disk_id: u32, disk: &Vdi, before: Option<&Uuid>, taken: &mut Taken) -> Result<()> {
    if taken.number == 0 {
        return Ok(());
    }
    let Some(before) = before else {
        report::info(format!("disk {disk_id} is backed up as a whole: its last backup has left no log"));
        return Ok(());
    };
    match changed_blocks::between(xe, before, &taken.snapshot, disk.virtual_size_bytes) {
        Ok(bits) => taken.changed = Some(bits),
        Err(error) if is_refused(&error) => {
            report::info(format!("disk {disk_id} is backed up as a whole: {error:#}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether XAPI has answered, and said no; before XenServer 7.3 `xe` did not know of tracking.
fn is_refused(error: &anyhow::Error) -> bool {
    xe_error(error).is_some_and(|error| error.code.is_some() || error.words.contains("Unknown command"))
}

/// Removes the VM's snapshots for increments, but for these.
pub fn clear(xe: &Xe, vm_id: u32, but: &[&Uuid]) -> Result<()> {
    for left in marked(xe, vm_id, None)? {
        if !but.contains(&&left) {
            snapshot::destroy(xe, &left)?;
        }
    }
    Ok(())
}

/// What XAPI says of a snapshot that was taken while changes were not tracked, or cannot be (xapi_vdi.ml
/// `check_operation_error`).
const NO_LOG: [&str; 2] = ["VDI_NO_CBT_METADATA", "SR_OPERATION_NOT_SUPPORTED"];

/// A backup has ended, however it did: of its snapshots only the logs are of use.
pub fn keep_logs_only(xe: &Xe, vm_id: u32) -> Result<()> {
    for kept in marked(xe, vm_id, None)? {
        match xe.run(&changed_blocks::destroy_data(&kept)) {
            // It has no log, its SR having none.
            Err(error) if failed_with(&error, &NO_LOG) => snapshot::destroy(xe, &kept)?,
            other => drop(other?),
        }
    }
    Ok(())
}

/// The VM's snapshots for increments, of this name or all. What belongs to a snapshot of a VM is none.
fn marked(xe: &Xe, vm_id: u32, name: Option<&str>) -> Result<Vec<Uuid>> {
    let key = format!("other-config:{}", mark::INCREMENT_OF);
    let id = vm_id.to_string();
    let mut filters = vec![(key.as_str(), id.as_str()), ("is-a-snapshot", "true")];
    filters.extend(name.map(|name| ("name-label", name)));
    let found = xe.list("vdi", &["uuid", "vbd-uuids"], &filters, |record| {
        Ok((record.members("vbd-uuids").count(), record.get::<Uuid>("uuid")?))
    })?;
    Ok(found.into_iter().filter(|(vbds, _)| *vbds == 0).map(|(_, uuid)| uuid).collect())
}
