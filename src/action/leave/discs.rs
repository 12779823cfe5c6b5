//! The VDIs of discs that were made for a VM. Anybody who may operate the VM can change the disc in a CD drive
//! (`vbd-eject`, `vbd-insert`), so a VDI is the VM's by its own uuid or tags, never by the drive it is in.

use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{Kind, Vbd};
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};

/// Whether this is a CD drive for a disc that was made for the VM.
fn is_drive(vbd: &Vbd) -> bool {
    vbd.kind == Kind::Cd && mark::goes_with_vm(vbd)
}

/// Whether the drive holds the very VDI that the driver put into it.
pub fn is_unchanged(drive: &Vbd) -> bool {
    drive.vdi_uuid.is_some() && mark::inserted(drive) == drive.vdi_uuid
}

/// The discs that were made for these CD drives of the VM, wherever they are now. Asks the pool only if a drive is
/// empty, or holds another VDI than the one that it was made with. A disc that another VM has as well is named in a
/// warning and is not among them.
pub fn of_drives(xe: &Xe, vm: &Uuid, vbds: &[Vbd]) -> Result<Vec<Uuid>> {
    let drives: Vec<&Vbd> = vbds.iter().filter(|vbd| is_drive(vbd)).collect();
    if drives.iter().all(|drive| is_unchanged(drive)) {
        return Ok(drives.iter().filter_map(|drive| drive.vdi_uuid.clone()).collect());
    }
    let of_vm = |vdi: &Vdi| vbds.iter().filter(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid)).count();
    let mut discs = Vec::new();
    for disc in made_for(xe, vm, &drives)? {
        if disc.vbds == of_vm(&disc) {
            discs.push(disc.uuid);
        } else {
            report::warn(format!(
                "VDI {}, a disc of VM {vm}, is in another VM's drive and is kept",
                disc.uuid
            ));
        }
    }
    Ok(discs)
}

/// The discs that were made for CD drives which the VM has no more, and that are in no drive.
pub fn of_removed_drives(xe: &Xe, vm: &Uuid, vbds: &[Vbd]) -> Result<Vec<Uuid>> {
    let drives: Vec<&Vbd> = vbds.iter().filter(|vbd| is_drive(vbd)).collect();
    if drives.is_empty() {
        return Ok(Vec::new());
    }
    let made = made_for(xe, vm, &drives)?;
    Ok(made.into_iter().filter(|disc| disc.vbds == 0).map(|disc| disc.uuid).collect())
}

/// The discs that were made for the VM and are in these drives, its own and those of its snapshots, and in no other.
pub fn in_drives<'a>(xe: &Xe, vm: &Uuid, drives: impl Iterator<Item = &'a Vbd>) -> Result<Vec<Uuid>> {
    let discs: Vec<&Uuid> = drives.filter_map(|drive| drive.vdi_uuid.as_ref()).collect();
    let count = |vdi: &Vdi| discs.iter().filter(|disc| ***disc == vdi.uuid).count();
    let made = Vdi::with_tag(xe, &mark::vdi_tag(vm))?.into_iter();
    Ok(made.filter(|vdi| vdi.vbds > 0 && vdi.vbds == count(vdi)).map(|vdi| vdi.uuid).collect())
}

/// All VDIs of the pool with the tags of these drives' discs.
fn made_for(xe: &Xe, vm: &Uuid, drives: &[&Vbd]) -> Result<Vec<Vdi>> {
    let names: Vec<String> = drives.iter().filter_map(|drive| mark::vdi_name_of(drive)).collect();
    let is_disc = |vdi: &Vdi| !vdi.is_a_snapshot && names.iter().any(|name| vdi.has_tag(name));
    Ok(Vdi::with_tag(xe, &mark::vdi_tag(vm))?.into_iter().filter(is_disc).collect())
}

/// Whether the VDI behind the VBD goes with the VM; `discs` are those of [`of_drives`].
pub fn goes_with_vm(vbd: &Vbd, discs: &[Uuid]) -> bool {
    let is_own = |vdi: &Uuid| vbd.kind == Kind::Disk || discs.contains(vdi);
    mark::goes_with_vm(vbd) && vbd.vdi_uuid.as_ref().is_some_and(is_own)
}
