//! Discs of a VM that changes its storage. XAPI moves none, and takes each that would change its SR out of its drive
//! before it begins (xapi_vm_migrate.ml `find_cds_to_eject`), whatever becomes of the migration.

use super::Job;
use crate::action::{context_disc, reconfigure, vm_folder};
use crate::one::Message;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, vm};
use anyhow::Context;

/// Puts the discs back that were in their drives before. `before`: the VM's devices then; `seen`: the SRs of the
/// destination, and `target` the one that the VM's disks went to.
pub fn put_back(xe: &Xe, vm: &Uuid, before: &[(Vbd, Vdi)], dest: &Uuid, seen: &[Uuid], target: &Uuid) {
    let discs: Vec<&(Vbd, Vdi)> = before.iter().filter(|(vbd, _)| vbd.kind == Kind::Cd).collect();
    if discs.is_empty() {
        return;
    }
    let put_all = || -> Result<()> {
        let now = Vbd::of_vm(xe, vm)?;
        let is_out = |drive: &Vbd| now.iter().any(|now| now.uuid == drive.uuid && now.vdi_uuid.is_none());
        let out: Vec<&&(Vbd, Vdi)> = discs.iter().filter(|(drive, _)| is_out(drive)).collect();
        if out.is_empty() {
            return Ok(());
        }
        let has_moved = vm::Vm::find(xe, vm)?.is_some_and(|vm| vm.is_running_on(dest));
        for (drive, disc) in out {
            let goes_too = has_moved && mark::goes_with_vm(drive);
            let put = if goes_too && disc.sr_uuid != *target {
                copy(xe, drive, disc, target)
            } else if has_moved && !seen.contains(&disc.sr_uuid) {
                report::warn(format!(
                    "disc {} is out of its drive: the destination does not see its SR {}",
                    disc.uuid, disc.sr_uuid
                ));
                Ok(())
            } else {
                xe.undo(&vbd::insert(&drive.uuid, &disc.uuid)).map(drop)
            };
            put.with_context(|| format!("disc {}, VBD {}", disc.uuid, drive.uuid))?;
        }
        Ok(())
    };
    if let Err(error) = put_all() {
        report::warn(format!("a disc of VM {vm} may be out of its drive: {error:#}"));
    }
}

/// A copy on the SR that the VM's disks went to takes the disc's place. XAPI gives it the tags of the disc
/// (xapi_vdi.ml `copy`).
fn copy(xe: &Xe, drive: &Vbd, disc: &Vdi, target: &Uuid) -> Result<()> {
    let copied: Uuid = xe.ask(&vdi::copy_to(&disc.uuid, target))?;
    let marked = xe
        .run(&vbd::set(&drive.uuid).set_all(mark::inserted_mark(&copied)))
        .and_then(|_| xe.run(&vbd::insert(&drive.uuid, &copied)));
    if let Err(error) = marked {
        _ = xe.undo(&vdi::destroy(&copied));
        _ = xe.undo(&vbd::set(&drive.uuid).set_all(mark::inserted_mark(&disc.uuid)));
        return Err(error);
    }
    // A snapshot's drive may hold it too.
    if disc.vbds == 1 {
        xe.run(&vdi::destroy(&disc.uuid)).context("the disc was copied, and the old one is left over")?;
    }
    Ok(())
}

/// The VM has gone to another pool: its own discs stay behind, and are in no VM. The context disc is made anew there of
/// its file, if this machine has it. `sr`: where the VM's disks went.
pub fn follow(job: &Job<'_>, there: &Xe, vm: &Uuid, sr: &Uuid, before: &[(Vbd, Vdi)]) {
    for (drive, disc) in before.iter().filter(|(vbd, _)| vbd.kind == Kind::Cd) {
        if let Err(why) = make_anew(job, there, vm, sr, drive) {
            report::warn(format!(
                "{} is out of its drive: XAPI takes no disc to another pool, and {why:#}; deployed again, the VM has it \
                 back",
                mark::disk_id(drive)
                    .map_or_else(|| format!("disc {}", disc.uuid), |disk_id| format!("disk {disk_id}"))
            ));
        }
        if mark::goes_with_vm(drive) && disc.vbds == 1 {
            context_disc::destroy(job.xe, &disc.uuid);
        }
    }
}

fn make_anew(job: &Job<'_>, there: &Xe, vm: &Uuid, sr: &Uuid, drive: &Vbd) -> Result<()> {
    let message = job.message.context("no message tells what it is")?;
    let context = message.vm.context.as_ref().map(|disc| disc.disk_id);
    let disk_id = mark::disk_id(drive).filter(|disk_id| Some(*disk_id) == context);
    let disk_id = disk_id.context("only the context disc is made anew")?;
    let file = vm_folder::of(job.conf, message)?.join(format!("disk.{disk_id}"));
    reconfigure::put_in(there, vm, &message.vm, file, sr)
}

/// The same where the VM is there already: a driver that was killed has left its context disc behind.
pub fn clear_left_behind(xe: &Xe, message: Option<&Message>, vm: &Uuid) -> Result<()> {
    let Some((of, disc)) = message.and_then(|message| Some((&message.vm, message.vm.context.as_ref()?)))
    else {
        return Ok(());
    };
    for left in context_disc::unanswered(xe, vm, of.vm_id, disc.disk_id)? {
        context_disc::destroy(xe, &left);
    }
    Ok(())
}
