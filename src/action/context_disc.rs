//! The context disc of a VM that is there already, in a CD drive or as a disk: what `prereconfigure` and
//! `reconfigure` share.

use super::identity::Identity;
use super::leave::STILL_IN_USE;
use super::suspending::find;
use crate::one::Vm;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, XeError, failed_with, was_refused_in_passing, xe_error};

/// What there is of a VM's context disc.
pub struct Found {
    /// The host that the VM runs on.
    pub resident_on: Option<Uuid>,
    /// All of the VM's devices.
    pub vbds: Vec<Vbd>,
    /// VDIs that a driver left which was killed in the middle: made for the disc, and nothing the guest has.
    pub left: Vec<Uuid>,
    /// All VDIs that were made for the disc.
    made: Vec<Uuid>,
}

impl Found {
    /// Asks all of it side by side.
    pub fn look_up(xe: &Xe, identity: &Identity, uuid: &Uuid, vm: &Vm, disk_id: u32) -> Result<Found> {
        let ((record, vbds), made) = parallel::both(
            || parallel::both(|| find(xe, uuid), || Vbd::of_vm(xe, uuid)),
            || made_for(xe, uuid, vm.vm_id, disk_id),
        );
        let record = record?;
        identity.check_and_mark(xe, &record)?;
        let vbds = vbds?;
        let made = made?;
        let left = made.iter().filter(|vdi| is_left(vdi, &vbds)).map(|vdi| vdi.uuid.clone()).collect();
        Ok(Found {
            resident_on: record.resident_on,
            vbds,
            left,
            made: made.into_iter().map(|vdi| vdi.uuid).collect(),
        })
    }

    /// Whether this VDI was made for the disc: somebody may have put another into its drive.
    pub fn is_own(&self, vdi: &Uuid) -> bool {
        self.made.contains(vdi)
    }

    /// The devices of the context disc, with the disc or empty; two where a driver was killed between the new
    /// and the old one.
    pub fn devices(&self, disk_id: u32) -> impl Iterator<Item = &Vbd> {
        self.vbds.iter().filter(move |vbd| mark::disk_id(vbd) == Some(disk_id))
    }
}

/// A slot is marked before the guest sees it.
fn is_left(vdi: &Vdi, vbds: &[Vbd]) -> bool {
    let ours: Vec<&Vbd> = vbds.iter().filter(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid)).collect();
    ours.len() == vdi.vbds && ours.iter().all(|vbd| mark::disk_id(vbd).is_none() && !vbd.is_attached)
}

/// The VDIs that were made for this disk of this VM.
fn made_for(xe: &Xe, uuid: &Uuid, vm_id: u32, disk_id: u32) -> Result<Vec<Vdi>> {
    let of_vm = mark::vdi_tag(uuid);
    let made = Vdi::with_tag(xe, &mark::vdi_name(vm_id, disk_id))?;
    Ok(made.into_iter().filter(|vdi| !vdi.is_a_snapshot && vdi.tags.contains(&of_vm)).collect())
}

/// Those of them that no VM has: one whose `vdi-create` failed to answer may be there all the same.
pub fn unanswered(xe: &Xe, uuid: &Uuid, vm_id: u32, disk_id: u32) -> Result<Vec<Uuid>> {
    let made = made_for(xe, uuid, vm_id, disk_id)?;
    Ok(made.into_iter().filter(|vdi| vdi.vbds == 0).map(|vdi| vdi.uuid).collect())
}

/// Takes the disc out of its drive, or the disk from its guest. The VDI that was in it stays. Where the answer
/// is an error, the device tells whether it is out.
pub fn take_out(xe: &Xe, vm: &Uuid, device: &Vbd) -> Result<()> {
    let taken = match device.kind {
        Kind::Cd => xe.run(&vbd::eject(&device.uuid)),
        Kind::Disk if device.is_attached => {
            STILL_IN_USE.run(|| xe.run(&vbd::unplug(&device.uuid)), was_refused_in_passing)
        }
        Kind::Disk => return Ok(()),
    };
    let Err(error) = taken else { return Ok(()) };
    let is_in = |now: &Vbd| match now.kind {
        Kind::Cd => now.vdi_uuid.is_some(),
        Kind::Disk => now.is_attached,
    };
    match Vbd::of_vm(xe, vm) {
        Ok(now) if !now.iter().any(|now| now.uuid == device.uuid && is_in(now)) => {
            report::warn(format!("the context disc is out, but: {error:#}"));
            Ok(())
        }
        _ => Err(explained(error)),
    }
}

/// Removes a VDI that is in no device any more, and with it the slot of one that was a disk. One that cannot be
/// removed now is found again by its tags.
pub fn destroy(xe: &Xe, vdi: &Uuid) {
    let destroyed =
        STILL_IN_USE.run(|| xe.run(&vdi::destroy(vdi)), |error| failed_with(error, &["VDI_IN_USE"]));
    if let Err(error) = destroyed
        && !xe_error(&error).is_some_and(XeError::is_gone)
    {
        report::warn(format!("the old context disc may be left in the pool: {error:#}"));
    }
}

/// XAPI's refusals in words that tell what to do.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    let in_use = ["DEVICE_DETACH_REJECTED", "DEVICE_DETACH_TIMEOUT"];
    let no_tools = ["VM_MISSING_PV_DRIVERS", "VM_LACKS_FEATURE", "VM_OLD_PV_DRIVERS"];
    let words = if failed_with(&error, &in_use) {
        "the guest does not let go of it: unmount it there"
    } else if failed_with(&error, &no_tools) {
        "it is a disk of the VM, and the guest has no PV drivers to plug disks with"
    } else {
        return error.context("cannot replace the context disc");
    };
    error.context(format!("cannot replace the context disc: {words}"))
}
