//! `postbackup HOST:VM_FOLDER DISKS DEPLOY_ID JOB_ID VM_ID DS_ID`: the backup's files were taken away, or the backup
//! has failed.

use super::place::Place;
use super::{Call, backup_folder, increments, prebackup};
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    let folder: Place = call.word(0, "the VM's folder")?;
    let ids: String = call.word(1, "the disks")?;
    let ids: Vec<u32> = ids.split(':').filter_map(|id| id.parse().ok()).collect();
    let vm_id: u32 = call.word(4, "the VM's id")?;
    backup_folder::of(call, &folder, vm_id)?.all.remove()?;
    let xe = call.xe(&folder, call.word(5, "the datastore's id")?)?;
    prebackup::clear(&xe, vm_id, &ids)?;
    increments::keep_logs_only(&xe, vm_id)?;
    Ok(String::new())
}
