//! How a VM leaves that OpenNebula imported: its record and its disks are somebody else's and stay. What OpenNebula
//! attached goes with OpenNebula's VM.

use super::discs;
use crate::action::identity;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{self, Vbd};
use crate::xe::{Uuid, Xe, vdi};

/// The VM is off, and the disks that OpenNebula wants back are in their files. `keeps`: OpenNebula keeps the VM, and
/// its disks stay attached for the next start.
pub fn leave(xe: &Xe, uuid: &Uuid, vbds: &[Vbd], keeps: bool) -> Result<()> {
    report::info(format!("VM {uuid} was imported: it stays in the pool, halted, with its disks"));
    if keeps {
        return Ok(());
    }
    let discs = discs::of_drives(xe, uuid, vbds)?;
    for attached in vbds.iter().filter(|vbd| mark::disk_id(vbd).is_some()) {
        match &attached.vdi_uuid {
            Some(vdi) if discs::goes_with_vm(attached, &discs) => xe.run(&vdi::destroy(vdi))?,
            _ => xe.run(&vbd::destroy(&attached.uuid))?,
        };
    }
    let is_in_drive = |disc: &Uuid| vbds.iter().any(|vbd| vbd.vdi_uuid.as_ref() == Some(disc));
    for ejected in discs.iter().filter(|disc| !is_in_drive(disc)) {
        xe.run(&vdi::destroy(ejected))?;
    }
    xe.run(&identity::forget_import(uuid)).map(drop)
}
