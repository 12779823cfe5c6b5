//! The disks of file datastores go back into their files: what the guest wrote is in VDIs, and OpenNebula
//! will look for it in `disk.N`.

use super::STILL_IN_USE;
use crate::action::disks_of_vm::{self, Wanted};
use crate::action::{deploy, disk_format, vm_folder};
use crate::image::{self, Format};
use crate::lock::VmLock;
use crate::one::disk::Origin;
use crate::one::{Conf, Disk, Message};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vbd::{self, Vbd};
use crate::xe::{Uuid, Xe, XeError, failed_with, vdi, was_refused_in_passing, xe_error};
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;

/// The VM's VBDs, with every disk among them whose data OpenNebula still wants.
///
/// # Errors
///
/// One is in none of them. `recover --delete` and `--recreate` go on all the same, when the pool has no VDI of it: the
/// administrator has given it up.
pub fn check(xe: &Xe, message: &Message, record: &Uuid, vbds: Vec<Vbd>) -> Result<Vec<Vbd>> {
    let vm = &message.vm;
    let ends = vm.lcm_state.ends_the_vm();
    let wanted: Vec<Wanted> =
        vm.disks.iter().filter(|disk| disk.is_wanted_back(ends)).map(Wanted::of).collect();
    let found = disks_of_vm::find(xe, vm.vm_id, record, vbds, &wanted)?;
    for disk in &found.missing {
        let text = format!(
            "disk {} is to be written back to its file, and neither VM {record} nor another VDI in the pool has it",
            disk.disk_id
        );
        if !vm.lcm_state.gives_up_the_vm() {
            bail!("{text}: look for its data, or give it up with onevm recover --delete {}", vm.vm_id);
        }
        report::warn(text);
    }
    Ok(found.vbds)
}

/// Makes sure, before the VM is powered off, that there is a folder for the disks.
pub fn prepare(conf: &Conf, message: &Message) -> Result<()> {
    let ends = message.vm.lcm_state.ends_the_vm();
    if message.vm.disks.iter().any(|disk| disk.is_wanted_back(ends)) {
        vm_folder::make(conf, message)?;
    }
    Ok(())
}

/// Writes every disk back whose data OpenNebula still wants, and of the others those whose files are gone: OpenNebula
/// makes none of a VM's files again. Each file is replaced only when its new content is whole.
pub fn run(xe: &Xe, conf: &Conf, message: &Message, vbds: &[Vbd]) -> Result<()> {
    let vm = &message.vm;
    let ends = vm.lcm_state.ends_the_vm();
    let folder = vm_folder::of(conf, message).ok();
    let is_lost = |disk: &Disk| {
        let file = folder.as_deref().map(|folder| disk.file(folder));
        !ends && disk.origin == Origin::File && file.is_some_and(|file| !is_named(&file))
    };
    let wanted: Vec<(&Disk, Uuid)> = vm
        .disks
        .iter()
        .filter(|disk| disk.is_wanted_back(ends) || is_lost(disk))
        .filter_map(|disk| Some((disk, vdi_of(disk, vbds)?)))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let folder = vm_folder::make(conf, message)?;
    let written = parallel::map(&wanted, |(disk, vdi)| {
        let file = disk.file(&folder);
        one(xe, disk, vdi, &file)
    });
    written.into_iter().collect()
}

/// Of a VM that stays in the pool, tells the files that were just written from ones that somebody changes later:
/// the next deployment takes the VDIs for the newest in both cases, and warns in the second.
pub fn stamp(xe: &Xe, conf: &Conf, message: &Message, vbds: &[Vbd]) {
    let Ok(folder) = vm_folder::of(conf, message) else { return };
    for disk in message.vm.disks.iter().filter(|disk| disk.is_wanted_back(false)) {
        let Some(vbd) = vbd_of(disk, vbds) else { continue };
        let set = deploy::stamp(&disk.file(&folder)).and_then(|stamp| {
            xe.run(&vbd::set(&vbd.uuid).set(format!("other-config:{}", mark::FILE_STAMP), stamp))
        });
        if let Err(error) = set {
            report::warn(format!(
                "the next deployment will take disk {} for changed: {error:#}",
                disk.disk_id
            ));
        }
    }
}

/// Writes the persistent disks of a suspended VM back: OpenNebula may end it without another word to us, and
/// then puts `disk.N` in the place of the image. XAPI exports no disk of a suspended VM, but a snapshot of it.
///
/// The disk stays as it is, and goes back once more when the VM has gone on and leaves the host.
pub fn of_suspended(
    xe: &Xe,
    conf: &Conf,
    message: &Message,
    uuid: &Uuid,
    lock: Option<&VmLock>,
) -> Result<()> {
    let wanted: Vec<&Disk> = message.vm.disks.iter().filter(|disk| disk.is_wanted_back(true)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let folder = vm_folder::make(conf, message)?;
    let vbds = check_persistent(xe, message.vm.vm_id, uuid, &wanted)?;
    let disks: Vec<(&Disk, Uuid)> =
        wanted.into_iter().filter_map(|disk| Some((disk, vdi_of(disk, &vbds)?))).collect();
    let attempt = mark::snapshot_attempt(message.vm.vm_id);
    if let Some(lock) = lock {
        lock.note(&attempt);
    }
    let written = parallel::map(&disks, |(disk, vdi)| {
        let file = disk.file(&folder);
        through_snapshot(xe, &attempt, disk, vdi, &file).with_context(|| {
            format!("cannot write disk {} of the suspended VM back to {}", disk.disk_id, file.display())
        })
    });
    let written: Result<()> = written.into_iter().collect();
    if let (Err(_), Some(lock)) = (&written, lock) {
        // Whether its snapshots are gone is not known in each case.
        lock.keep_note(&attempt);
    }
    written
}

/// As [`check`], for the persistent disks alone.
fn check_persistent(xe: &Xe, vm_id: u32, record: &Uuid, disks: &[&Disk]) -> Result<Vec<Vbd>> {
    let wanted: Vec<Wanted> = disks.iter().copied().map(Wanted::of).collect();
    let found = disks_of_vm::find(xe, vm_id, record, Vbd::of_vm(xe, record)?, &wanted)?;
    if let Some(disk) = found.missing.first() {
        bail!("disk {} is to be written back to its file, and the pool has no VDI of it", disk.disk_id);
    }
    Ok(found.vbds)
}

/// XAPI gives a snapshot the `other-config` of its disk, so that it has its mark from its first moment.
fn through_snapshot(xe: &Xe, attempt: &str, disk: &Disk, vdi: &Uuid, file: &Path) -> Result<()> {
    let snapshot = taken_snapshot(xe, attempt, vdi)?;
    let written = write_back(xe, disk, &snapshot, file);
    let removed = xe.undo(&vdi::destroy(&snapshot));
    written?;
    removed.map(drop).with_context(|| format!("its snapshot {snapshot} is left over"))
}

fn taken_snapshot(xe: &Xe, attempt: &str, vdi: &Uuid) -> Result<Uuid> {
    let undo = Undo::new(xe);
    undo.by(vdi::unmark(vdi, mark::WRITE_BACK_ATTEMPT));
    xe.run(&vdi::mark(vdi, mark::WRITE_BACK_ATTEMPT, attempt))?;
    let taken = xe.ask::<Uuid>(&vdi::snapshot(vdi));
    if let Ok(snapshot) = &taken {
        undo.by(vdi::destroy(snapshot));
    } else {
        // It may be there although the answer was lost.
        let of_attempt = format!("other-config:{}", mark::WRITE_BACK_ATTEMPT);
        let of_disk = vdi.to_string();
        let marks =
            [(of_attempt.as_str(), attempt), ("snapshot-of", of_disk.as_str()), ("is-a-snapshot", "true")];
        // Of two, one is somebody's backup: the note in the lock stays, and the next action names them.
        if let [made] = &*vdi::marked(xe, &marks)? {
            undo.by(vdi::destroy(made));
        }
    }
    let snapshot = taken.with_context(|| format!("cannot take a snapshot of VDI {vdi}"))?;
    xe.run(&vdi::unmark(vdi, mark::WRITE_BACK_ATTEMPT))?;
    undo.keep();
    Ok(snapshot)
}

/// Whether there is a file of this name; a link that leads nowhere counts.
fn is_named(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok()
}

/// The VDI that was made for this disk. Another image may have had the same DISK_ID before.
fn vdi_of(disk: &Disk, vbds: &[Vbd]) -> Option<Uuid> {
    vbd_of(disk, vbds)?.vdi_uuid.clone()
}

fn vbd_of<'a>(disk: &Disk, vbds: &'a [Vbd]) -> Option<&'a Vbd> {
    vbds.iter().find(|vbd| mark::goes_with_vm(vbd) && mark::is_of(vbd, disk) && vbd.vdi_uuid.is_some())
}

/// Writes one disk back from its VDI.
pub fn one(xe: &Xe, disk: &Disk, vdi: &Uuid, file: &Path) -> Result<()> {
    write_back(xe, disk, vdi, file).map_err(|error| {
        let is_lost = xe_error(&error).is_some_and(XeError::is_lost_volume);
        let data = if is_lost {
            format!("the SR does not find VDI {vdi}")
        } else {
            format!("its data is safe in VDI {vdi}")
        };
        error.context(format!("cannot write disk {} back to {}; {data}", disk.disk_id, file.display()))
    })
}

fn write_back(xe: &Xe, disk: &Disk, vdi: &Uuid, file: &Path) -> Result<()> {
    let format = disk_format::to_write(disk);
    let size_bytes = disk_format::size_to_write(disk, format, file)?;
    write(xe, &ToFile { disk_id: disk.disk_id, format, size_bytes, file }, vdi)
}

/// Where a disk goes.
pub struct ToFile<'a> {
    pub disk_id: u32,
    pub format: Format,
    /// What the file is to hold again; none: all that the VDI holds.
    pub size_bytes: Option<u64>,
    pub file: &'a Path,
}

/// Writes what a VDI holds to a disk's file, which is replaced as a whole.
pub fn write(xe: &Xe, to: &ToFile<'_>, vdi: &Uuid) -> Result<()> {
    let (format, file) = (to.format, to.file);
    STILL_IN_USE.run(
        || xe.export_vhd(vdi, |mut stdout| image::vhd_to_file(&mut stdout, file, format, to.size_bytes)),
        |error| failed_with(error, &["VDI_IN_USE"]) || was_refused_in_passing(error),
    )?;
    report::info(format!("disk {} is written back to {}", to.disk_id, file.display()));
    Ok(())
}
