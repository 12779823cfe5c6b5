//! A VM that powered itself off: its disks hold what its guest wrote last, and the next deployment goes on with
//! them.

use super::plan::{Plan, PlannedDisk, Source, Writes};
use crate::action::disks_of_vm::{self, Wanted};
use crate::action::leave::discs;
use crate::action::moved_disks;
use crate::one;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{Kind, Vbd};
use crate::xe::{Uuid, Xe, vdi, vm};

/// A halted VM with complete disks: the guest powered itself off, or its deployment was about to start it.
pub struct Halted {
    pub uuid: Uuid,
    pub vbds: Vec<Vbd>,
    /// Disks of `xcp` datastores that somebody has moved to another SR, each with its VDI.
    moved: Vec<(u32, Uuid)>,
}

impl Halted {
    /// The VDI that holds this disk's data. The context disc is always made anew.
    ///
    /// While the VM was off OpenNebula may have made the file larger, and nothing else that counts.
    pub fn vdi_of(&self, disk: &PlannedDisk) -> Option<Source> {
        let Source::Image { vdi_size_bytes, .. } = disk.source else {
            let moved = self.moved.iter().find(|(disk_id, _)| *disk_id == disk.slot.disk_id);
            return moved.map(|(_, vdi)| Source::Vdi { vdi: vdi.clone(), at_least_bytes: 0 });
        };
        let vbd = self.vbds.iter().find(|vbd| is_of(vbd, disk))?;
        if !mark::goes_with_vm(vbd) || disk.is_read_only {
            return None;
        }
        let vdi = vbd.vdi_uuid.clone()?;
        if vbd.other_config(mark::FILE_STAMP) == Some(disk.stamp.as_str()) {
            return Some(Source::Vdi { vdi, at_least_bytes: 0 });
        }
        if disk.lacks_file {
            report::warn(format!(
                "disk {} has no file here: the VM goes on with its disk in the pool",
                disk.slot.disk_id
            ));
            return Some(Source::Vdi { vdi, at_least_bytes: 0 });
        }
        report::warn(format!(
            "disk {} has been changed as a file since the VM last ran: what the guest wrote counts, not the file",
            disk.slot.disk_id
        ));
        Some(Source::Vdi { vdi, at_least_bytes: vdi_size_bytes })
    }

    /// Asks for its disks.
    pub fn look_up(xe: &Xe, uuid: Uuid) -> Result<Halted> {
        let vbds = Vbd::of_vm(xe, &uuid)?;
        Ok(Halted { uuid, vbds, moved: Vec::new() })
    }

    /// Makes sure that none of the plan's disks is taken from its file although the pool has what its guest wrote.
    pub fn with_disks(self, xe: &Xe, vm: &one::Vm, plan: &Plan) -> Result<Halted> {
        let wanted: Vec<Wanted> = plan
            .disks
            .iter()
            .filter(|disk| disk.writes != Writes::Nothing)
            .map(|disk| Wanted { disk_id: disk.slot.disk_id, image_id: disk.image_id })
            .collect();
        let found = disks_of_vm::find(xe, vm.vm_id, &self.uuid, self.vbds, &wanted)?;
        for disk in &found.missing {
            report::warn(format!(
                "disk {} is not in the pool: it was attached while the VM was off, or its VDI was removed; it begins \
                 with its file",
                disk.disk_id
            ));
        }
        let moved = moved_disks::follow(xe, vm, &plan.folder, &found.vbds)?;
        Ok(Halted { uuid: self.uuid, vbds: found.vbds, moved })
    }

    /// Removes the old VM, now that a new one runs with its disks, which are among `used`. What a guest wrote stays in
    /// the pool, if it is in a VDI that the new one has not.
    pub fn replaced_by(&self, xe: &Xe, plan: &Plan, used: &[Uuid]) {
        let is_made_anew =
            |vbd: &Vbd| plan.disks.iter().any(|disk| is_of(vbd, disk) && disk.writes == Writes::Nothing);
        match discs::of_drives(xe, &self.uuid, &self.vbds) {
            Ok(discs) => discs
                .iter()
                .filter(|disc| !used.contains(disc))
                .for_each(|disc| warn_if_failed(xe.run(&vdi::destroy(disc)))),
            Err(error) => warn_if_failed(Err(error)),
        }
        for vbd in self.vbds.iter().filter(|vbd| vbd.kind == Kind::Disk && mark::goes_with_vm(vbd)) {
            let (Some(vdi), Some(disk_id)) = (&vbd.vdi_uuid, mark::disk_id(vbd)) else { continue };
            if used.contains(vdi) {
                continue;
            }
            if is_made_anew(vbd) {
                warn_if_failed(xe.run(&vdi::destroy(vdi)));
            } else {
                report::warn(format!(
                    "VDI {vdi}, disk {disk_id} of the VM of before, is kept in the pool: no disk of the VM that runs is \
                     on it"
                ));
            }
        }
        warn_if_failed(xe.run(&vm::destroy(&self.uuid)));
    }
}

/// Whether the VBD was made for this disk: the same DISK_ID may be another image's by now.
pub fn is_of(vbd: &Vbd, disk: &PlannedDisk) -> bool {
    mark::disk_id(vbd) == Some(disk.slot.disk_id) && mark::image_id(vbd) == disk.image_id
}

fn warn_if_failed(result: Result<String>) {
    if let Err(error) = result {
        report::warn(format!("cannot clear away the VM of before: {error:#}"));
    }
}
