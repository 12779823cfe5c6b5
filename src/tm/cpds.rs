//! `cpds HOST:PATH/disk.N SOURCE SNAP_ID VM_ID DS_ID`: a disk, or what it held at a snapshot, saved as an image.

use super::place::Place;
use super::{Call, disk};
use crate::report::Result;
use crate::storage::swap::{self, How};
use crate::storage::{lineage, snapshot};
use crate::xe::Uuid;
use anyhow::ensure;

pub fn run(call: &Call) -> Result<String> {
    let (place, image): (Place, Uuid) = (call.word(0, "the disk's place")?, call.source(1)?);
    place.need_disk_id()?;
    let snapshot_id: i64 = call.word(2, "the snapshot's id")?;
    let xe = call.xe(&place, call.word(4, "the datastore's id")?)?;
    let mut from = disk::vdi(&xe, &place)?;
    if let Ok(id) = u32::try_from(snapshot_id) {
        from = snapshot::need(&xe, &lineage::key(&from), id)?;
    }
    // mkfs has made the image's place, on the SR where it is to be.
    let now = lineage::need(&xe, &image)?;
    ensure!(now.vbds == 0, "image {image} is in {} VM(s): nothing is saved over it", now.vbds);
    ensure!(now.uuid != from.uuid, "{place} is the image {image} itself");
    let how = if now.sr_uuid == from.sr_uuid { How::Cloned } else { How::Copied };
    let name = swap::name_of(&now, "one-image");
    swap::replace(&xe, &now, &from, how, &name, &|_| Ok(()))?;
    Ok(String::new())
}
