//! Disks that a live migration has moved to another SR: they are other VDIs now.

use super::place::Place;
use super::{Call, records};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::Context;

/// Lets `disk.N` in `folder` name the VDI that the VM has there now, where the one of before is gone. The new one
/// gets the old one's uuid as a tag: OpenNebula, and the disk's snapshots, go on calling it so.
pub fn follow(call: &Call, folder: &Place, vm_id: u32, ds_id: u32) -> Result<()> {
    let xe = call.xe(folder, ds_id)?;
    for vm in records::of(&xe, vm_id)? {
        for vbd in Vbd::of_vm(&xe, &vm.uuid)?.iter().filter(|vbd| !mark::goes_with_vm(vbd)) {
            let (Some(disk_id), Some(now)) = (mark::disk_id(vbd), &vbd.vdi_uuid) else { continue };
            let name = mark::vdi_name(vm_id, disk_id);
            follow_disk(&xe, &folder.below(&format!("disk.{disk_id}")), now, &name)?;
        }
    }
    Ok(())
}

/// A disk that was not moved by `migrate` has lost its tags: a disk of the VM's own, told by the name it keeps, gets its
/// own again, by which it goes with the VM.
fn follow_disk(xe: &Xe, file: &Place, now: &Uuid, name: &str) -> Result<()> {
    let Some(before) = file.read()?.and_then(|text| text.trim().parse::<Uuid>().ok()) else { return Ok(()) };
    if before == *now || Vdi::find(xe, &before)?.is_some() {
        return Ok(());
    }
    let vdi = Vdi::find(xe, now)?.with_context(|| format!("VDI {now} is gone"))?;
    if vdi.tags.is_empty() && Vdi::with_name(xe, name)?.iter().any(|named| named.uuid == *now) {
        xe.run(&vdi::add_tag(now, name))?;
    }
    if mark::source_of_vdi(&vdi.tags).is_none() {
        xe.run(&vdi::add_tag(now, &mark::source(&before)))?;
    }
    file.write(&now.to_string())?;
    report::info(format!("{file} was VDI {before}, and is {now} since the migration"));
    Ok(())
}
