//! `attach_disk`: gives a VM that is there already one more disk, or a disc for its CD drive.

mod device;

use super::default_sr::DefaultSr;
use super::hotplug::place::{self, Place};
use super::hotplug::{self, NO_PV_DRIVERS};
use super::leave::discs;
use super::{Caller, deploy};
use crate::lock::VmLock;
use crate::one::{Disk, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::pluggable::Pluggable;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail};
use deploy::Source;
use std::path::PathBuf;

/// Plug a disk into a running VM, or put a disc into its CD drive.
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
    /// OpenNebula's message in base64; it counts if standard input holds none
    message: Option<String>,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = hotplug::message(args.message.as_deref())?;
    let element = hotplug::device(&message.vm, &["DISK"])?;
    let disk = Disk::read(element)?;
    let xe = caller.xe(&conf, &args.host)?;
    let lock = Caller::lock(&xe, Some(message.vm.vm_id))?;
    let what = || format!("cannot attach disk {} to VM {}", disk.disk_id, message.vm.vm_id);
    let file = hotplug::file(&conf, &message.vm, &disk, &args.disk_path)?;
    let (source, stamp) = deploy::source(&disk, &file, true).with_context(what)?;

    let from_file = matches!(source, Source::Image { .. });
    let ((there, vbds), sr) = parallel::both(
        || parallel::both(|| Pluggable::find(&xe, &args.deploy_id), || Vbd::of_vm(&xe, &args.deploy_id)),
        || if from_file { DefaultSr::look_up(&xe, &conf).map(Some) } else { Ok(None) },
    );
    let (there, vbds, sr) = (there?, vbds?, sr?);
    let there = there.with_context(|| format!("the pool has no VM {}", args.deploy_id))?;
    caller.identity(Some(&message), args.vm_id).check_and_mark(&xe, &there)?;
    let is_live = hotplug::is_live(&args.deploy_id, &there)?;
    let sr = sr.map(|sr| sr.on(&xe, there.resident_on.as_ref())).transpose().with_context(what)?;
    let vm = &message.vm;
    let job = Job { xe: &xe, uuid: &args.deploy_id, vm, disk: &disk, source, stamp, vbds, is_live };
    if let Some(vbd) = job.attached() {
        return job.finish(vbd).with_context(what).map(|()| String::new());
    }
    let place = place::choose(vm, &disk, &job.vbds, is_live && there.is_hvm).with_context(what)?;
    // Before the disk's bytes are copied.
    if is_live && matches!(place, Place::Slot(_)) && !there.takes_disks(&xe).with_context(what)? {
        bail!("{}: {NO_PV_DRIVERS}", what());
    }
    hotplug::warn_of(vm, element, vec![disk.clone()], Vec::new());
    job.attach(&place, sr, lock.as_ref()).with_context(what)?;
    Ok(String::new())
}

/// A disk to attach, with everything that is known before the pool is changed.
struct Job<'a> {
    xe: &'a Xe,
    uuid: &'a Uuid,
    vm: &'a Vm,
    disk: &'a Disk,
    source: Source,
    stamp: String,
    /// The VM's devices so far.
    vbds: Vec<Vbd>,
    is_live: bool,
}

impl Job<'_> {
    /// The device through which the VM has this very disk.
    fn attached(&self) -> Option<&Vbd> {
        self.vbds.iter().find(|vbd| match &self.source {
            Source::Vdi { vdi, .. } => vbd.vdi_uuid.as_ref() == Some(vdi),
            Source::Image { .. } => self.is_this_file(vbd),
        })
    }

    /// Volatile disks have no image to be told apart by: of two under one DISK_ID the length of the file tells.
    fn is_this_file(&self, vbd: &Vbd) -> bool {
        let length = |stamp: &str| stamp.split('.').next().map(str::to_owned);
        let same_length = || vbd.other_config(mark::FILE_STAMP).and_then(length) == length(&self.stamp);
        let is_in = vbd.vdi_uuid.is_some() && (vbd.kind == Kind::Disk || discs::is_unchanged(vbd));
        let is_ours = mark::goes_with_vm(vbd) && mark::is_of(vbd, self.disk) && is_in;
        is_ours && (self.disk.image_id.is_some() || same_length())
    }

    /// The disk is there: after an action that was killed it may not be plugged in yet.
    fn finish(&self, vbd: &Vbd) -> Result<()> {
        if vbd.is_attached || !self.is_live {
            report::info(format!("VM {} has disk {} already", self.uuid, self.disk.disk_id));
            return Ok(());
        }
        let undo = Undo::new(self.xe);
        if mark::disk_id(vbd).is_none() {
            let disc = vbd.vdi_uuid.as_ref().filter(|_| vbd.kind == Kind::Cd);
            self.xe.run(&self.marked(&vbd.uuid, disc))?;
        }
        self.plug(&undo, &vbd.uuid)?;
        undo.keep();
        Ok(())
    }

    fn attach(&self, place: &Place<'_>, sr: Option<Uuid>, lock: Option<&VmLock>) -> Result<()> {
        let undo = Undo::new(self.xe);
        self.take_number_from_others(&undo)?;
        let vdi = self.vdi(&undo, sr, lock)?;
        match place {
            Place::Drive(drive) => {
                self.fill(&vdi)?;
                self.insert(&undo, drive, &vdi)?;
            }
            Place::Slot(slot) => {
                let (filled, vbd) = parallel::both(|| self.fill(&vdi), || self.create(&undo, slot, &vdi));
                filled?;
                let vbd = vbd?;
                self.xe.run(&self.marked(&vbd, (slot.kind == Kind::Cd).then_some(&vdi)))?;
                if self.is_live {
                    self.plug(&undo, &vbd)?;
                }
            }
        }
        undo.keep();
        Ok(())
    }

    /// OpenNebula has given the DISK_ID of a disk that was detached while the VM was off to this one: what the
    /// old one holds must not be written back as this one's.
    fn take_number_from_others(&self, undo: &Undo<'_>) -> Result<()> {
        for old in self.vbds.iter().filter(|vbd| mark::disk_id(vbd) == Some(self.disk.disk_id)) {
            let Some(vdi) = &old.vdi_uuid else { continue };
            report::warn(format!(
                "VDI {vdi} was disk {} before, and is none from here on",
                self.disk.disk_id
            ));
            undo.by(vbd::set(&old.uuid).set(format!("other-config:{}", mark::DISK_ID), self.disk.disk_id));
            self.xe.run(&vbd::remove_other_config(&old.uuid, mark::DISK_ID))?;
        }
        Ok(())
    }
}
