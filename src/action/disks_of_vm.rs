//! Which VBD of a VM's record has which disk of OpenNebula's: by the VBD's marks, and where somebody has detached the
//! disk and attached it again by the tags of its VDI.
//!
//! A list without a disk is not believed by itself: `xe` may have printed less than there is. The VDIs with the disk's
//! tag are asked for then, which is a call only when something is missing.

use crate::one;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::bail;

/// A disk made from a file, which the record should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub disk_id: u32,
    pub image_id: Option<u32>,
}

impl Wanted {
    pub fn of(disk: &one::Disk) -> Wanted {
        Wanted { disk_id: disk.disk_id, image_id: disk.image_id }
    }

    fn is_in(self, vbds: &[Vbd]) -> bool {
        vbds.iter().any(|vbd| {
            mark::goes_with_vm(vbd)
                && vbd.vdi_uuid.is_some()
                && mark::disk_id(vbd) == Some(self.disk_id)
                && mark::image_id(vbd) == self.image_id
        })
    }
}

/// What is known of the wanted disks.
pub struct Found {
    /// The record's VBDs, the ones that somebody attached anew with their marks.
    pub vbds: Vec<Vbd>,
    /// Disks of which no VM has a VDI.
    pub missing: Vec<Wanted>,
}

/// Looks for the disks among the record's VBDs.
///
/// # Errors
///
/// A VDI of a disk is attached, and the record does not have it: nothing may be removed or overwritten then.
pub fn find(xe: &Xe, vm_id: u32, record: &Uuid, vbds: Vec<Vbd>, wanted: &[Wanted]) -> Result<Found> {
    let mut vbds = vbds;
    let mut missing = without(&vbds, wanted);
    if missing.is_empty() {
        return Ok(Found { vbds, missing });
    }
    vbds = Vbd::of_vm(xe, record)?;
    missing = without(&vbds, wanted);
    let mut gone = Vec::new();
    for disk in missing {
        if !attached_anew(xe, vm_id, record, &mut vbds, disk)? {
            gone.push(disk);
        }
    }
    Ok(Found { vbds, missing: gone })
}

fn without(vbds: &[Vbd], wanted: &[Wanted]) -> Vec<Wanted> {
    wanted.iter().copied().filter(|disk| !disk.is_in(vbds)).collect()
}

/// Whether an unmarked VBD of the record has a VDI of this disk; it gets the marks then. False: no VM has one.
fn attached_anew(xe: &Xe, vm_id: u32, record: &Uuid, vbds: &mut Vec<Vbd>, disk: Wanted) -> Result<bool> {
    let name = mark::vdi_name(vm_id, disk.disk_id);
    // DISK_IDs are given anew: a marked VBD has the VDI of the image that had this number before.
    let is_anothers = |vdi: &Vdi| {
        vbds.iter().any(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid) && mark::disk_id(vbd).is_some())
    };
    let tagged = Vdi::with_tag(xe, &name)?.into_iter();
    let tagged: Vec<Vdi> = tagged.filter(|vdi| !vdi.is_a_snapshot && !is_anothers(vdi)).collect();
    let is_tagged = |vbd: &&Vbd| tagged.iter().any(|vdi| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid));
    let is_unmarked = |vbd: &&Vbd| vbd.kind == Kind::Disk && mark::disk_id(vbd).is_none();
    if let Some(vbd) = vbds.iter().filter(is_unmarked).find(is_tagged) {
        report::info(format!(
            "disk {} was detached from VM {record} and attached again by somebody: it is VBD {}",
            disk.disk_id, vbd.uuid
        ));
        let marks = mark::vbd_marks(vm_id, disk.disk_id, disk.image_id, &one::disk::Origin::File, "", None);
        xe.run(&vbd::set(&vbd.uuid).set_all(marks))?;
        *vbds = Vbd::of_vm(xe, record)?;
        return Ok(disk.is_in(vbds));
    }
    let Some(vdi) = tagged.iter().max_by_key(|vdi| vdi.vbds) else { return Ok(false) };
    if vdi.vbds == 0 {
        // Somebody has detached it, or a driver was killed before it could attach it.
        report::warn(format!(
            "VDI {} has the tag {name} of disk {} and is attached to no VM: look whether its data is wanted",
            vdi.uuid, disk.disk_id
        ));
        return Ok(false);
    }
    bail!(
        "disk {} of VM {vm_id} is in no device of VM {record}, and VDI {}, which is attached, has its tag {name}: \
         either xe vbd-list answers less than there is, or another VM has the disk (xe vbd-list vdi-uuid={})",
        disk.disk_id,
        vdi.uuid,
        vdi.uuid
    )
}
