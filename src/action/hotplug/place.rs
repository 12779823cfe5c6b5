//! Where in a VM that is there already a disk goes.

use crate::one::disk::{Medium, Origin};
use crate::one::{Disk, Vm};
use crate::report::{self, Result};
use crate::translate::{device, mark};
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{Call, Uuid};
use anyhow::bail;

/// Where a disk goes.
pub enum Place<'a> {
    /// Into an empty CD drive.
    Drive(&'a Vbd),
    /// Into a slot of its own.
    Slot(Slot),
}

/// A slot to make.
pub struct Slot {
    /// None: whichever XAPI allows.
    pub device: Option<u32>,
    pub kind: Kind,
    is_read_only: bool,
}

impl Slot {
    /// The call that makes it, as this device.
    pub fn vbd(&self, vm: &Uuid, vdi: &Uuid, device: &str) -> Call {
        vbd::create(vm, vdi, device, self.kind, self.is_read_only, false)
    }
}

/// A slot for the disk: where TARGET says, if that is free. A disc goes into a CD drive if the VM has an empty
/// one; else it becomes a disk, as a second CD does at deployment.
///
/// A running HVM guest takes no new CD drive and no read-only disk. A disk that was made from a file for this VM
/// may then be written to: what the guest writes there is thrown away with it.
pub fn choose<'a>(vm: &Vm, disk: &Disk, vbds: &'a [Vbd], is_live_hvm: bool) -> Result<Place<'a>> {
    let is_disc = disk.medium == Medium::CdRom;
    if is_disc && let Some(drive) = vbds.iter().find(|vbd| is_free_drive(vm, disk, vbd)) {
        return Ok(Place::Drive(drive));
    }
    let has_drive = vbds.iter().any(|vbd| vbd.kind == Kind::Cd);
    let as_drive = is_disc && !is_live_hvm && !has_drive;
    if disk.is_read_only && is_live_hvm {
        if disk.origin == Origin::Vdi {
            bail!(
                "XAPI plugs no read-only disk into a running HVM guest{}: attach it while the VM is powered off",
                if is_disc { ", and the VM has no empty CD drive" } else { "" }
            );
        }
        report::warn(format!(
            "disk {} is not read-only for the guest, as XAPI plugs no such disk into a running HVM guest{}; what \
             the guest writes there is not kept",
            disk.disk_id,
            if is_disc { ", and the VM has no empty CD drive" } else { "" }
        ));
    }
    let is_free = |wish: u32| vbds.iter().all(|vbd| device::place_of(&vbd.userdevice) != Some(wish));
    let wish = if as_drive { Some(device::CD_DEVICE) } else { device::device_of(&disk.target) };
    let disks = vbds.iter().filter(|vbd| vbd.kind == Kind::Disk);
    let first = disks.filter_map(|vbd| device::place_of(&vbd.userdevice)).min();
    // Nor does a disc get a place before the disk that the VM boots from.
    let is_behind = |wish: &u32| !is_disc || as_drive || first.is_none_or(|first| first < *wish);
    let taken = wish.filter(|wish| is_free(*wish)).filter(is_behind);
    let device = taken.or_else(|| device::free_behind(first, is_free));
    if let (None, Some(device), false, false) = (taken, device, disk.target.is_empty(), is_disc) {
        let why = if wish.is_some() { "that place is taken" } else { "XAPI has no device of this name" };
        report::warn(format!(
            "disk {}: TARGET {}: {why}; the guest sees it as {}",
            disk.disk_id,
            disk.target,
            device::guest_name(device)
        ));
    }
    let kind = if as_drive { Kind::Cd } else { Kind::Disk };
    Ok(Place::Slot(Slot { device, kind, is_read_only: disk.is_read_only && !is_live_hvm }))
}

/// An empty drive, unless its disc is only out for a moment: one that OpenNebula still counts as in the VM.
fn is_free_drive(vm: &Vm, disk: &Disk, vbd: &Vbd) -> bool {
    let has = |disk_id: u32| {
        vm.context.as_ref().is_some_and(|disc| disc.disk_id == disk_id)
            || vm.disks.iter().any(|disk| disk.disk_id == disk_id)
    };
    let is_kept = mark::disk_id(vbd).is_some_and(|disk_id| disk_id != disk.disk_id && has(disk_id));
    vbd.kind == Kind::Cd && vbd.vdi_uuid.is_none() && !is_kept
}
