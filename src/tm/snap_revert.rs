//! `snap_revert HOST:PATH/disk.N SNAP_ID VM_ID DS_ID`: the disk holds again what it held at a snapshot.

use super::place::Place;
use super::{Call, disk, records};
use crate::report::Result;
use crate::storage::swap::{self, How};
use crate::storage::{lineage, snapshot};
use crate::translate::mark;
use anyhow::bail;

pub fn run(call: &Call) -> Result<String> {
    let place: Place = call.word(0, "the disk's place")?;
    let id: u32 = call.word(1, "the snapshot's id")?;
    let vm_id: u32 = call.word(2, "the VM's id")?;
    let xe = call.xe(&place, call.word(3, "the datastore's id")?)?;
    let now = disk::vdi(&xe, &place)?;
    let name = swap::name_of(&now, &mark::vdi_name(vm_id, place.need_disk_id()?));
    swap::finish(&xe, &now, &name)?;
    let from = snapshot::need(&xe, &lineage::key(&now), id)?;
    if now.vbds > 0
        && let Some(vm) = records::of(&xe, vm_id)?.iter().find(|vm| vm.snapshots > 0)
    {
        bail!("VM {} is kept in the pool with snapshots of its own, which hold this disk", vm.uuid);
    }
    swap::replace(&xe, &now, &from, How::Cloned, &name, &|uuid| place.write(&uuid.to_string()))?;
    Ok(String::new())
}
