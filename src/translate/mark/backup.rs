//! Names of what a disk's backup is made from.

use super::image::this_attempt;

/// The name-label and tag of the clone that a disk's backup is made from.
pub fn backup_name(vm_id: u32, disk_id: u32) -> String {
    format!("one-{vm_id}-backup-of-disk-{disk_id}")
}

/// The VM of such a clone.
pub fn vm_id_of_backup(name: &str) -> Option<u32> {
    let (vm_id, disk_id) = name.strip_prefix("one-")?.split_once("-backup-of-disk-")?;
    disk_id.parse::<u32>().ok()?;
    vm_id.parse().ok()
}

/// `one-7-backup-of-disk-0-increment-3`: the snapshot from which this increment of a disk's backup is made, and the
/// next one told.
pub fn increment_name(vm_id: u32, disk_id: u32, number: u32) -> String {
    format!("{}-increment-{number}", backup_name(vm_id, disk_id))
}

/// OpenNebula's number of the VM; on the snapshots that its incremental backups are made from.
pub const INCREMENT_OF: &str = "one_increment_of";

/// On a disk while such a snapshot of it is taken, which has it then too.
pub const INCREMENT_ATTEMPT: &str = "one_increment_attempt";

/// Its value: OpenNebula's number of the VM, when, and by whom. No two are the same.
pub fn increment_attempt(vm_id: u32) -> String {
    format!("{vm_id}-{}", this_attempt())
}

/// The VM in it.
pub fn vm_id_of_attempt(attempt: &str) -> Option<u32> {
    attempt.split('-').next()?.parse().ok()
}
