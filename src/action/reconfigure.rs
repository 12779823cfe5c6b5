//! `reconfigure`: gives a running VM its new context disc. One that is still in makes room for it, and stays
//! until the new one is in.

use super::Caller;
use super::context_disc::{self, Found};
use super::default_sr::DefaultSr;
use crate::image::{BLOCK_BYTES, Format, Image};
use crate::one::disk::Origin;
use crate::one::{Conf, Message, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::storage::fill::from_image;
use crate::translate::device::{self, ContextDevice};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{Uuid, Xe, vdi};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Give a running VM its new context disc.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The disc's TARGET, as OpenNebula names it
    target: String,
    /// The new disc's file
    iso_path: PathBuf,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

/// The new disc, and who gets it.
struct Disc<'a> {
    uuid: &'a Uuid,
    vm: &'a Vm,
    disk_id: u32,
    file: PathBuf,
    size_bytes: u64,
    sr: Uuid,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let message = message.context("standard input holds no message that tells which disk is the context")?;
    let identity = caller.identity(Some(&message), args.vm_id);
    let vm = message.vm;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(vm.vm_id))?;
    let disk_id = vm.context.as_ref().context("VM/TEMPLATE has no CONTEXT with a DISK_ID")?.disk_id;
    let file = file(&conf, &vm, &args.iso_path)?;
    let size_bytes = Image::open_as(&file, Format::Raw)?.virtual_size_bytes().next_multiple_of(BLOCK_BYTES);
    let slot = slot(&conf, &vm, disk_id)?;
    let (found, sr) = parallel::both(
        || Found::look_up(&xe, &identity, &args.deploy_id, &vm, disk_id),
        || DefaultSr::look_up(&xe, &conf),
    );
    let found = found?;
    let sr = sr?.on(&xe, found.resident_on.as_ref())?;
    for left in &found.left {
        context_disc::destroy(&xe, left);
    }
    let disc = Disc { uuid: &args.deploy_id, vm: &vm, disk_id, file, size_bytes, sr };
    replace(&xe, &disc, &found, slot)?;
    Ok(String::new())
}

/// Puts the context disc into its empty drive, made of this file: for a VM that came without it.
pub fn put_in(xe: &Xe, uuid: &Uuid, vm: &Vm, file: PathBuf, sr: &Uuid) -> Result<()> {
    let disk_id = vm.context.as_ref().context("VM/TEMPLATE has no CONTEXT with a DISK_ID")?.disk_id;
    let size_bytes = Image::open_as(&file, Format::Raw)?.virtual_size_bytes().next_multiple_of(BLOCK_BYTES);
    let vbds = Vbd::of_vm(xe, uuid)?;
    let is_its = |vbd: &&Vbd| vbd.kind == Kind::Cd && mark::disk_id(vbd) == Some(disk_id);
    let drive = vbds.iter().find(is_its).filter(|drive| drive.vdi_uuid.is_none());
    let drive = drive.context("it has no empty drive")?;
    let undo = Undo::new(xe);
    let new = fill(xe, &undo, &Disc { uuid, vm, disk_id, file, size_bytes, sr: sr.clone() })?;
    swap(xe, &undo, uuid, drive, &new)?;
    undo.keep();
    Ok(())
}

/// The disc's file on this machine: where OpenNebula says, or in the VM's folder below DATASTORE_LOCATION.
fn file(conf: &Conf, vm: &Vm, said: &Path) -> Result<PathBuf> {
    let name = said.file_name().with_context(|| format!("{} names no file", said.display()))?;
    let folder =
        conf.vm_folder(vm.ds_id, vm.vm_id, said.parent()).context("the message names no datastore")?;
    Ok(folder.join(name))
}

/// Where a deployment would put the disc, if it went in as a disk.
fn slot(conf: &Conf, vm: &Vm, disk_id: u32) -> Result<u32> {
    let context_device = ContextDevice::of_setting(conf.one_of("CONTEXT_DEVICE", &["auto", "cd", "disk"])?);
    let slots = device::slots(vm, context_device)?;
    Ok(slots.iter().find(|slot| slot.disk_id == disk_id).map_or(0, |slot| slot.device))
}

/// The new disc is whole before the old one is touched. One that is a disk goes last: XAPI would not plug it
/// again if it was read-only.
fn replace(xe: &Xe, disc: &Disc<'_>, found: &Found, slot: u32) -> Result<()> {
    let undo = Undo::new(xe);
    let new = fill(xe, &undo, disc)?;
    let (drives, disks): (Vec<&Vbd>, Vec<&Vbd>) =
        found.devices(disc.disk_id).partition(|device| device.kind == Kind::Cd);
    match drives.first() {
        Some(drive) => swap(xe, &undo, disc.uuid, drive, &new)?,
        None => plug(xe, &undo, disc, &new, free_slot(&found.vbds, slot)?)?,
    }
    for disk in &disks {
        context_disc::take_out(xe, disc.uuid, disk)?;
    }
    undo.keep();
    for old in drives.iter().chain(&disks).filter_map(|device| device.vdi_uuid.as_ref()) {
        if found.is_own(old) {
            context_disc::destroy(xe, old);
        } else {
            report::warn(format!("VDI {old} was in the drive of the context disc: it is ejected, and kept"));
        }
    }
    Ok(())
}

fn swap(xe: &Xe, undo: &Undo<'_>, vm: &Uuid, drive: &Vbd, new: &Uuid) -> Result<()> {
    if let Some(old) = &drive.vdi_uuid {
        undo.by(vbd::insert(&drive.uuid, old));
        context_disc::take_out(xe, vm, drive)?;
    }
    undo.by(vbd::eject(&drive.uuid));
    xe.run(&vbd::insert(&drive.uuid, new)).map_err(context_disc::explained)?;
    // Without this mark the VDIs' tags tell whose disc it is.
    let marked = xe.run(&vbd::set(&drive.uuid).set_all(mark::inserted_mark(new)));
    let disowned = match drive.other_config(mark::OWNER) {
        Some(_) => xe.run(&vbd::disown(&drive.uuid)),
        None => Ok(String::new()),
    };
    if let Err(error) = marked.and(disowned) {
        report::warn(format!("the CD drive has the new disc, and not all of its marks: {error:#}"));
    }
    Ok(())
}

fn fill(xe: &Xe, undo: &Undo<'_>, disc: &Disc<'_>) -> Result<Uuid> {
    let name = mark::vdi_name(disc.vm.vm_id, disc.disk_id);
    let tags = mark::vdi_tags(disc.uuid, disc.vm.vm_id, disc.disk_id);
    let made = xe.ask(&vdi::create(&disc.sr, &name, disc.size_bytes, &tags));
    if made.is_err() {
        match context_disc::unanswered(xe, disc.uuid, disc.vm.vm_id, disc.disk_id) {
            Ok(left) => left.iter().for_each(|left| undo.by(vdi::destroy(left))),
            Err(error) => report::warn(format!("a VDI {name} may be left in the pool: {error:#}")),
        }
    }
    let new: Uuid = made.context("cannot make the new context disc")?;
    undo.by(vdi::destroy(&new));
    from_image(xe, &new, &mut Image::open_as(&disc.file, Format::Raw)?, disc.size_bytes)
        .with_context(|| format!("cannot bring {} into the pool", disc.file.display()))?;
    Ok(new)
}

/// As a disk: a running VM gets no further CD drive. One that can be written to: XAPI plugs no other into an
/// HVM guest (xapi_vbd.ml:91).
fn plug(xe: &Xe, undo: &Undo<'_>, disc: &Disc<'_>, new: &Uuid, slot: u32) -> Result<()> {
    let vbd: Uuid = xe.ask(&vbd::create(disc.uuid, new, slot, Kind::Disk, false, false))?;
    undo.by(vbd::destroy(&vbd));
    let marks = mark::vbd_marks(disc.vm.vm_id, disc.disk_id, None, &Origin::File, "", None);
    xe.run(&vbd::set(&vbd).set_all(marks))?;
    undo.by(vbd::unplug(&vbd));
    xe.run(&vbd::plug(&vbd)).map(drop).map_err(context_disc::explained)
}

/// The slot a deployment would take, or the next one that nothing is in.
fn free_slot(vbds: &[Vbd], wish: u32) -> Result<u32> {
    let is_free = |slot: &u32| vbds.iter().all(|vbd| device::place_of(&vbd.userdevice) != Some(*slot));
    match (wish..device::DEVICES).chain(0..wish).find(is_free) {
        Some(slot) => Ok(slot),
        None => bail!("the VM has no free slot for its context disc"),
    }
}
