//! `prebackup HOST:VM_FOLDER DISKS DEPLOY_ID JOB_ID VM_ID DS_ID`: each disk as a file `backup/disk.N.0` in the VM's
//! folder, a dynamic VHD, for the backup datastore's own script to take away. All of a disk, every time.
//!
//! A disk is cloned first: it is of one moment, and the VM may run.

use super::place::Place;
use super::{Call, disk};
use crate::parallel;
use crate::report::Result;
use crate::storage::{make, snapshot};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, ensure};

/// The folder of a backup's files in a VM's folder (tm/lib/backup.rb).
pub const FOLDER: &str = "backup";

pub fn run(call: &Call) -> Result<String> {
    let folder: Place = call.word(0, "the VM's folder")?;
    let ids: String = call.word(1, "the disks")?;
    let vm_id: u32 = call.word(4, "the VM's id")?;
    let xe = call.xe(&folder, call.word(5, "the datastore's id")?)?;
    let ids: Vec<u32> = ids
        .split(':')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().with_context(|| format!("the disk {id:?}")))
        .collect::<Result<_>>()?;
    ensure!(!ids.is_empty(), "there is no disk to back up");
    let backup = folder.below(FOLDER);
    backup.remove()?;
    let clones = Undo::new(&xe);
    clear(&xe, vm_id, &ids)?;
    let mut of_one_moment: Vec<(u32, Uuid)> = Vec::new();
    for id in &ids {
        let vdi =
            disk::vdi(&xe, &folder.below(&format!("disk.{id}"))).with_context(|| format!("disk {id}"))?;
        let name = mark::backup_name(vm_id, *id);
        of_one_moment.push((*id, make::cloned(&xe, &clones, &vdi.uuid, &name, std::slice::from_ref(&name))?));
    }
    let exported = parallel::map(&of_one_moment, |(id, vdi)| {
        let file = backup.below(&format!("disk.{id}.0"));
        xe.export_vhd(vdi, |stdout| file.fill(stdout, xe.transfer_limit))
            .with_context(|| format!("cannot back disk {id} up to {file}"))
    });
    let exported: Result<Vec<()>> = exported.into_iter().collect();
    if exported.is_err() {
        backup.remove()?;
    }
    // The clones have done their service, whatever became of the files: dropped here, they go.
    exported.map(|_| String::new())
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
