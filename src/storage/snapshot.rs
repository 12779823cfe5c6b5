//! Snapshots of an image or disk: clones of its VDI that carry its key, each as good as the disk itself. A tree
//! of them is OpenNebula's matter; XAPI's storage keeps the blocks they share.

use super::{lineage, make};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, xe_error};
use anyhow::Context;

/// Keeps what the VDI holds now as snapshot `id`. Done already, it is done.
pub fn create(xe: &Xe, of: &Vdi, id: u32) -> Result<()> {
    let key = lineage::key(of);
    let (name, tag) = (mark::snapshot_name(&key, id), mark::snapshots(&key));
    // One without the tag is of a killed script, or a clone that somebody has made of the snapshot by hand.
    if let Some(done) = Vdi::with_name(xe, &name)?.iter().find(|vdi| vdi.has_tag(&tag)) {
        report::info(format!("snapshot {id} is there already, as VDI {}", done.uuid));
        return Ok(());
    }
    let undo = Undo::new(xe);
    make::cloned(xe, &undo, &of.uuid, &name, &[tag])?;
    undo.keep();
    Ok(())
}

/// The VDI of snapshot `id`.
pub fn find(xe: &Xe, key: &Uuid, id: u32) -> Result<Option<Vdi>> {
    let tag = mark::snapshots(key);
    Ok(Vdi::with_name(xe, &mark::snapshot_name(key, id))?.into_iter().find(|vdi| vdi.has_tag(&tag)))
}

/// As [`find`], for one that must be there.
pub fn need(xe: &Xe, key: &Uuid, id: u32) -> Result<Vdi> {
    find(xe, key, id)?.with_context(|| format!("the pool has no VDI {}", mark::snapshot_name(key, id)))
}

/// Removes snapshot `id`. One that is gone is success.
pub fn delete(xe: &Xe, key: &Uuid, id: u32) -> Result<()> {
    if let Some(snapshot) = find(xe, key, id)? {
        return destroy(xe, &snapshot.uuid);
    }
    report::info(format!("the pool has no snapshot {id} of {key}: nothing to do"));
    Ok(())
}

/// Removes all snapshots of an image or disk.
pub fn delete_all(xe: &Xe, key: &Uuid) -> Result<()> {
    for snapshot in Vdi::with_tag(xe, &mark::snapshots(key))? {
        destroy(xe, &snapshot.uuid)?;
    }
    Ok(())
}

/// Destroys a VDI; one that is gone already is.
pub fn destroy(xe: &Xe, uuid: &Uuid) -> Result<()> {
    match xe.run(&vdi::destroy(uuid)) {
        Err(error) if xe_error(&error).is_some_and(crate::xe::XeError::is_gone) => Ok(()),
        other => other.map(drop).with_context(|| format!("cannot remove VDI {uuid}")),
    }
}
