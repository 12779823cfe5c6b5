//! Removing a leftover: under its VM's lock, after the pool was asked once more whether it still is one, and
//! after its precious disks were saved.

use super::find;
use super::leftover::{Leftover, Precious, Removal};
use crate::action::deploy::existing;
use crate::action::leave;
use crate::action::snapshot_delete;
use crate::image::{self, Format};
use crate::lock::VmLock;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::snapshot::Snapshot;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{PowerState, Record, Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};
use std::path::Path;

/// What all removals need.
pub struct Remover<'a> {
    pub xe: &'a Xe,
    /// Where precious disks are saved.
    pub save_to: Option<&'a Path>,
}

impl Remover<'_> {
    /// Removes it; an error says why it stays.
    pub fn remove(&self, leftover: &Leftover, removal: &Removal) -> Result<()> {
        let Some(_lock) = VmLock::try_take(leftover.vm_id)? else {
            bail!("an action is at work on VM {}", leftover.vm_id)
        };
        match removal {
            Removal::Unmarked => self.unmarked(leftover),
            Removal::HalfMade => self.half_made(leftover),
            Removal::Record => self.record(leftover),
            Removal::Whole(_) => self.whole(leftover),
            Removal::Snapshot(_) => self.snapshot(leftover),
            Removal::Vdi(precious) => self.vdi(leftover, precious),
            Removal::SuspendImage => self.suspend_image(leftover),
        }
    }

    fn unmarked(&self, leftover: &Leftover) -> Result<()> {
        let name = mark::unmarked_vm_name(leftover.vm_id);
        let uuid = leftover.uuid.to_string();
        let filters = [("uuid", uuid.as_str()), ("name-label", &name), ("power-state", "halted")];
        let found = self.xe.list("vm", &["uuid"], &filters, |record| record.get::<Uuid>("uuid"))?;
        let vm = vm::Vm::find(self.xe, &leftover.uuid)?;
        let is_it = found == [leftover.uuid.clone()];
        ensure!(is_it && vm.is_some_and(|vm| !vm.has_started && !mark::is_marked(&vm)), CHANGED);
        self.xe.run(&vm::uninstall(&leftover.uuid)).map(drop)
    }

    /// The VM, if it is still what it was taken for: ours, halted, without snapshots.
    fn halted(&self, leftover: &Leftover) -> Result<(vm::Vm, Vec<Vbd>)> {
        let (vm, vbds) = self.ours(leftover)?;
        ensure!(vm.power_state == PowerState::Halted && vm.snapshots == 0, CHANGED);
        Ok((vm, vbds))
    }

    /// The VM with its VBDs, if it still is OpenNebula's VM of this number.
    fn ours(&self, leftover: &Leftover) -> Result<(vm::Vm, Vec<Vbd>)> {
        let (vm, vbds) =
            parallel::both(|| vm::Vm::find(self.xe, &leftover.uuid), || Vbd::of_vm(self.xe, &leftover.uuid));
        let vm = vm?.context("it is gone")?;
        let vm_id = vm.other_config(mark::VM_ID) == Some(leftover.vm_id.to_string().as_str());
        ensure!(vm_id && mark::is_original(&vm), CHANGED);
        Ok((vm, vbds?))
    }

    fn half_made(&self, leftover: &Leftover) -> Result<()> {
        let (vm, vbds) = self.halted(leftover)?;
        let vdis = Vdi::with_tag(self.xe, &mark::vdi_tag(&vm.uuid))?;
        ensure!(!vm.has_started && !existing::is_complete(leftover.vm_id, &vbds, &vdis), CHANGED);
        existing::clear(self.xe, &vm.uuid, &vbds, &vdis)
    }

    fn record(&self, leftover: &Leftover) -> Result<()> {
        self.halted(leftover)?;
        let all = vm::Vm::with_other_config(self.xe, mark::REPLACES, &leftover.uuid.to_string())?;
        ensure!(all.iter().any(|newer| mark::is_original(newer) && newer.has_started), CHANGED);
        self.xe.run(&vm::destroy(&leftover.uuid)).map(drop)
    }

    fn whole(&self, leftover: &Leftover) -> Result<()> {
        let (vm, vbds) = self.ours(leftover)?;
        leave::remove::check_allowed(&vm)?;
        match vm.power_state {
            PowerState::Halted => {}
            // XAPI exports no disk of a suspended VM.
            PowerState::Suspended => drop(self.xe.run(&vm::hard_shutdown(&vm.uuid))?),
            state => bail!("it is {state} by now"),
        }
        let mut disks = find::precious(&vbds, &Vdi::all(self.xe)?);
        if vm.snapshots > 0 {
            disks.extend(find::in_foreign_snapshots(self.xe, leftover.vm_id, &vm.uuid)?);
        }
        for disk in disks {
            self.save(leftover.vm_id, &disk)?;
        }
        if vm.snapshots > 0 {
            leave::remove::snapshots(self.xe, &vm.uuid)?;
        }
        leave::remove::run(self.xe, &vm.uuid, &vbds)
    }

    fn snapshot(&self, leftover: &Leftover) -> Result<()> {
        let snapshot = Snapshot::find(self.xe, &leftover.uuid)?.context("it is gone")?;
        let vm_id = snapshot.other_config(mark::VM_ID) == Some(leftover.vm_id.to_string().as_str());
        ensure!(vm_id, CHANGED);
        if let Some(of) = &snapshot.of {
            ensure!(vm::Vm::find(self.xe, of)?.is_none(), "its VM is in the pool");
        }
        for disk in find::disks(self.xe, &snapshot.uuid)? {
            self.save(leftover.vm_id, &disk)?;
        }
        snapshot_delete::remove(self.xe, &snapshot.uuid)
    }

    fn vdi(&self, leftover: &Leftover, disk: &Precious) -> Result<()> {
        let vdi = Vdi::find(self.xe, &leftover.uuid)?.context("it is gone")?;
        let made_for = mark::vm_of_vdi(&vdi.tags).context(CHANGED)?;
        ensure!(vdi.vbds == 0 && !vdi.is_a_snapshot, CHANGED);
        ensure!(vm::Vm::find(self.xe, &made_for)?.is_none(), "its VM is in the pool");
        self.save(leftover.vm_id, disk)?;
        self.xe.run(&vdi::destroy(&vdi.uuid)).map(drop)
    }

    fn suspend_image(&self, leftover: &Leftover) -> Result<()> {
        let image = leftover.uuid.to_string();
        let named_by = |class: &str| {
            let filters = [("suspend-VDI-uuid", image.as_str())];
            self.xe.list(class, &["uuid"], &filters, |record: &Record<'_>| record.get::<Uuid>("uuid"))
        };
        let (by_vm, by_snapshot) = parallel::both(|| named_by("vm"), || named_by("snapshot"));
        ensure!(by_vm?.is_empty() && by_snapshot?.is_empty(), CHANGED);
        self.xe.run(&vdi::destroy(&leftover.uuid)).map(drop)
    }

    /// Writes the disk to `one-7-disk-0-UUID.raw` in the folder. The file is whole or not there.
    pub fn save(&self, vm_id: u32, disk: &Precious) -> Result<()> {
        let folder = self.save_to.context("it was not to be saved")?;
        let file = folder.join(format!("{}-{}.raw", mark::vdi_name(vm_id, disk.disk_id), disk.vdi));
        let vdi = Vdi::find(self.xe, &disk.vdi)?.with_context(|| format!("VDI {} is gone", disk.vdi))?;
        let size_bytes = Some(vdi.virtual_size_bytes);
        self.xe
            .export_vhd(&disk.vdi, |mut stdout| {
                image::vhd_to_file(&mut stdout, &file, Format::Raw, size_bytes)
            })
            .with_context(|| format!("cannot save VDI {}", disk.vdi))?;
        report::info(format!("disk {} of VM {vm_id} is saved in {}", disk.disk_id, file.display()));
        Ok(())
    }
}

const CHANGED: &str = "it is not what it was a moment ago";
