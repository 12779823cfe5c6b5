//! `prebackup HOST:VM_FOLDER DISKS DEPLOY_ID JOB_ID VM_ID DS_ID`: each disk as a file `disk.N.0` in the backup's
//! folder, a qcow2, and the VM's document beside them, for the backup datastore's own script to take away.
//!
//! A disk is cloned first, or a snapshot of it taken if increments are wanted: it is of one moment, and the VM may
//! run. An increment is a qcow2 of the changed clusters alone, `disk.N.INCREMENT`; behind it the backup datastore puts
//! the ones before (tm/lib/backup.rb `reconstruct_chain`).

use super::backup_request::BackupRequest;
use super::increments::{self, Taken};
use super::place::Place;
use super::{Call, backup_folder, disk};
use crate::image::{Part, vhd_to_qcow2};
use crate::parallel;
use crate::report::Result;
use crate::storage::{make, snapshot};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::{BufReader, Write};

/// The VM's document in it, in base64: what images are made from a backup by.
const DOCUMENT: &str = "vm.xml";
/// What a process must be called to be ended when a backup is cancelled: OpenNebula looks for its own scripts, which are
/// Ruby's, by this name and the DEPLOY_ID in their command line (datastore/rsync/backup_cancel). Told to stop, this one
/// takes back what it has done, and `postbackup` follows.
const CANCELLED_BY_NAME: &str = "ruby";

pub fn run(call: &Call) -> Result<String> {
    // Without the name it works as well, and is only not to be cancelled.
    _ = fs::write("/proc/self/comm", CANCELLED_BY_NAME);
    let folder: Place = call.word(0, "the VM's folder")?;
    let ids: String = call.word(1, "the disks")?;
    let vm_id: u32 = call.word(4, "the VM's id")?;
    let request = BackupRequest::read(vm_id)?;
    let xe = call.xe(&folder, call.word(5, "the datastore's id")?)?;
    let ids: Vec<u32> = ids
        .split(':')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().with_context(|| format!("the disk {id:?}")))
        .collect::<Result<_>>()?;
    ensure!(!ids.is_empty(), "there is no disk to back up");
    let backup = backup_folder::of(call, &folder, vm_id)?.files;
    backup.remove()?;
    let undo = Undo::new(&xe);
    clear(&xe, vm_id, &ids)?;
    let disks = ids
        .iter()
        .map(|id| {
            let found = disk::vdi(&xe, &folder.below(&format!("disk.{id}")));
            Ok((*id, found.with_context(|| format!("disk {id}"))?))
        })
        .collect::<Result<Vec<(u32, Vdi)>>>()?;
    let taken = match request.increment {
        Some(number) => increment(&xe, &undo, vm_id, &disks, number)?,
        None => whole(&xe, &undo, vm_id, &disks)?,
    };
    let number = request.increment.unwrap_or(0);
    let exported = keep_document(&xe, &backup, &request.vm).and_then(|()| {
        let exported = parallel::map(&taken, |(id, taken)| {
            export(&xe, &taken.snapshot, &backup.below(&format!("disk.{id}.{number}")), taken.part())
                .with_context(|| format!("cannot back disk {id} up"))
        });
        exported.into_iter().collect::<Result<Vec<()>>>()
    });
    if exported.is_err() {
        backup.remove()?;
    } else if request.increment.is_some() {
        // The next increment begins where they are.
        undo.keep();
    }
    // Clones have done their service, whatever became of the files: dropped here, they go.
    exported.map(|_| String::new())
}

/// Clones of the disks, for a backup that no other one is related to.
fn whole(xe: &Xe, undo: &Undo<'_>, vm_id: u32, disks: &[(u32, Vdi)]) -> Result<Vec<(u32, Taken)>> {
    increments::clear(xe, vm_id, &[])?;
    let clone = |(id, disk): &(u32, Vdi)| {
        let name = mark::backup_name(vm_id, *id);
        let clone = make::cloned(xe, undo, &disk.uuid, &name, std::slice::from_ref(&name))?;
        Ok((*id, Taken::whole(clone)))
    };
    disks.iter().map(clone).collect()
}

/// Snapshots of the disks, each with what has changed since the increment before.
fn increment(
    xe: &Xe,
    undo: &Undo<'_>,
    vm_id: u32,
    disks: &[(u32, Vdi)],
    number: u32,
) -> Result<Vec<(u32, Taken)>> {
    let ids: Vec<u32> = disks.iter().map(|(id, _)| *id).collect();
    let before = increments::before(xe, vm_id, &ids, number)?;
    let kept: Vec<&Uuid> = before.values().collect();
    increments::clear(xe, vm_id, &kept)?;
    let take = |disk: &(u32, Vdi)| Ok((disk.0, increments::take(xe, undo, vm_id, disk, number)?));
    let mut taken = disks.iter().map(take).collect::<Result<Vec<_>>>()?;
    for ((id, taken), (_, disk)) in taken.iter_mut().zip(disks) {
        increments::compare(xe, *id, disk, before.get(id), taken)?;
    }
    Ok(taken)
}

/// The VDI, or a part of it, as a qcow2 file on the host.
fn export(xe: &Xe, vdi: &Uuid, file: &Place, part: Part<'_>) -> Result<()> {
    xe.export_vhd(vdi, |stdout| {
        let mut stdout = BufReader::new(stdout);
        file.fill(xe.transfer_limit, xe.stop.flag(), |mut stdin| vhd_to_qcow2(&mut stdout, &mut stdin, part))
    })
    .with_context(|| format!("to {file}"))
}

fn keep_document(xe: &Xe, backup: &Place, vm: &str) -> Result<()> {
    let text = STANDARD.encode(vm) + "\n";
    backup
        .below(DOCUMENT)
        .fill(xe.limit, xe.stop.flag(), |mut stdin| Ok(stdin.write_all(text.as_bytes())?))
        .context("cannot keep the VM's document")
}

/// Removes the clones that a killed driver has left.
pub fn clear(xe: &Xe, vm_id: u32, ids: &[u32]) -> Result<()> {
    for id in ids {
        for left in Vdi::with_name(xe, &mark::backup_name(vm_id, *id))? {
            ensure!(left.vbds == 0, "VDI {} is in a VM: it is not removed", left.uuid);
            snapshot::destroy(xe, &left.uuid)?;
        }
    }
    Ok(())
}
