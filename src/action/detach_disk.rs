//! `detach_disk`: takes a disk from a VM, or the disc out of its CD drive. What the guest wrote is brought back to
//! `disk.N` where OpenNebula still wants it.

use super::disks_of_vm::{self, Wanted};
use super::hotplug;
use super::leave::{STILL_IN_USE, discs, write_back};
use super::{Caller, deploy, vm_folder};
use crate::one::{Disk, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::pluggable::Pluggable;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{Uuid, Xe, failed_with, vdi};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Take a disk from a running VM, or the disc out of its CD drive.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The disk's file, disk.N in the VM's folder
    disk_path: PathBuf,
    /// The disk's TARGET, as OpenNebula names it
    target: String,
    /// The TARGET's place among the VM's disks
    target_index: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = hotplug::message(None)?;
    let identity = caller.identity(Some(&message), args.vm_id);
    let vm = &message.vm;
    let disk = Disk::read(hotplug::device(vm, &["DISK"])?)?;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(vm.vm_id))?;
    let file = hotplug::file(&conf, vm, &disk, &args.disk_path)?;
    let (there, vbds) =
        parallel::both(|| Pluggable::find(&xe, &args.deploy_id), || Vbd::of_vm(&xe, &args.deploy_id));
    let (there, vbds) = (there?, vbds?);
    if let Some(there) = &there {
        identity.check_and_mark(&xe, there)?;
    }
    let vbds = match attached(&disk, &file, &vbds) {
        Some(_) => vbds,
        None => look_again(&xe, vm, &disk, &file, &args.deploy_id, vbds)?,
    };
    let (Some(there), Some(vbd)) = (there, attached(&disk, &file, &vbds)) else {
        report::info(format!("VM {} has no disk {}: nothing to do", args.deploy_id, disk.disk_id));
        return Ok(String::new());
    };
    hotplug::is_live(&args.deploy_id, &there)?;
    if disk.is_wanted_back(true) {
        vm_folder::make(&conf, &message)?;
    }
    let job = Job { xe: &xe, uuid: &args.deploy_id, vm, disk: &disk, file: &file, vbd };
    job.detach().with_context(|| format!("cannot detach disk {} from VM {}", disk.disk_id, vm.vm_id))?;
    Ok(String::new())
}

/// The device through which the VM has the disk: by its marks, or by the VDI that `disk.N` names.
fn attached<'a>(disk: &Disk, file: &Path, vbds: &'a [Vbd]) -> Option<&'a Vbd> {
    // A drive is the disk's, also when somebody has ejected the disc.
    let is_attached = |vbd: &&Vbd| vbd.vdi_uuid.is_some() || vbd.kind == Kind::Cd;
    let marked = vbds.iter().filter(|vbd| mark::is_of(vbd, disk)).find(is_attached);
    marked.or_else(|| {
        let vdi = deploy::named_vdi(disk, file)?;
        vbds.iter().find(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi))
    })
}

/// A list without the disk may be shorter than it should: the VDIs are asked, before nothing is done.
fn look_again(xe: &Xe, vm: &Vm, disk: &Disk, file: &Path, record: &Uuid, vbds: Vec<Vbd>) -> Result<Vec<Vbd>> {
    match deploy::named_vdi(disk, file) {
        Some(vdi) => {
            let of_vdi = Vbd::of_vdi(xe, &vdi)?;
            if of_vdi.is_empty() { Ok(vbds) } else { Vbd::of_vm(xe, record) }
        }
        None => Ok(disks_of_vm::find(xe, vm.vm_id, record, vbds, &[Wanted::of(disk)])?.vbds),
    }
}

/// A disk to take away.
struct Job<'a> {
    xe: &'a Xe,
    uuid: &'a Uuid,
    vm: &'a Vm,
    disk: &'a Disk,
    file: &'a Path,
    vbd: &'a Vbd,
}

impl Job<'_> {
    /// The guest first lets go of the disk; if anything fails after that, it gets it back.
    fn detach(&self) -> Result<()> {
        let undo = Undo::new(self.xe);
        let discs = discs::of_drives(self.xe, self.uuid, std::slice::from_ref(self.vbd))?;
        let is_foreign = mark::goes_with_vm(self.vbd) && !discs::goes_with_vm(self.vbd, &discs);
        if is_foreign {
            let holds = match &self.vbd.vdi_uuid {
                Some(vdi) => format!("holds VDI {vdi}, which is not OpenNebula's: it stays"),
                None => "is empty: somebody has ejected the disc".to_owned(),
            };
            report::warn(format!("the drive of disk {} {holds}", self.disk.disk_id));
        } else {
            self.take_out(&undo)?;
        }
        let own = self.vbd.vdi_uuid.as_ref().filter(|_| mark::goes_with_vm(self.vbd));
        let own = if is_foreign { discs.first() } else { own };
        if let Some(vdi) = own.filter(|_| self.disk.is_wanted_back(true)) {
            write_back::one(self.xe, self.disk, vdi, self.file)?;
        }
        if self.vbd.kind == Kind::Cd {
            undo.by(self.marked());
            self.xe.run(&vbd::clear_other_config(&self.vbd.uuid))?;
        }
        self.remove(own)?;
        undo.keep();
        Ok(())
    }

    fn take_out(&self, undo: &Undo<'_>) -> Result<()> {
        let vbd = &self.vbd.uuid;
        if self.vbd.kind == Kind::Cd {
            let Some(vdi) = &self.vbd.vdi_uuid else { return Ok(()) };
            undo.by(vbd::insert(vbd, vdi));
            return hotplug::settle(self.xe, &vbd::eject(vbd), "VBD_IS_EMPTY", || {
                Ok(!self.is_there(|now| now.vdi_uuid.is_some())?)
            });
        }
        if !self.vbd.is_attached {
            return Ok(());
        }
        undo.by(vbd::plug(vbd));
        hotplug::settle(self.xe, &vbd::unplug(vbd), "DEVICE_ALREADY_DETACHED", || {
            Ok(!self.is_there(|now| now.is_attached)?)
        })
    }

    /// Removes the VDI that was made for the VM, and with it its slot (xapi_vdi.ml:1004); else only the slot. The
    /// CD drive stays: a running VM gets no other.
    fn remove(&self, own: Option<&Uuid>) -> Result<()> {
        let call = match own {
            Some(vdi) => vdi::destroy(vdi),
            None if self.vbd.kind == Kind::Cd => return Ok(()),
            None => vbd::destroy(&self.vbd.uuid),
        };
        let removed = STILL_IN_USE.run(|| self.xe.run(&call), |error| failed_with(error, &["VDI_IN_USE"]));
        match removed {
            Err(error) if !self.is_removed(own) => Err(error),
            Err(error) => {
                report::warn(format!("it was done, but: {error:#}"));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn is_removed(&self, own: Option<&Uuid>) -> bool {
        match own {
            Some(vdi) => matches!(vdi::Vdi::find(self.xe, vdi), Ok(None)),
            None => matches!(self.is_there(|_| true), Ok(false)),
        }
    }

    fn is_there(&self, test: impl Fn(&Vbd) -> bool) -> Result<bool> {
        Ok(Vbd::of_vm(self.xe, self.uuid)?.iter().any(|now| now.uuid == self.vbd.uuid && test(now)))
    }

    /// The marks as they were.
    fn marked(&self) -> crate::xe::Call {
        let stamp = self.vbd.other_config(mark::FILE_STAMP).unwrap_or_default();
        let disk = self.disk;
        let inserted = (self.vbd.kind == Kind::Cd).then(|| self.vbd.vdi_uuid.clone()).flatten();
        let marks = mark::vbd_marks(
            self.vm.vm_id,
            disk.disk_id,
            disk.image_id,
            &disk.origin,
            stamp,
            inserted.as_ref(),
        );
        vbd::set(&self.vbd.uuid)
            .set_all(marks)
            .set_all(self.vbd.other_config(mark::FORMAT).map(mark::format_mark))
    }
}
