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

/// On a suspended VM's disk while the snapshot is taken from which `save` writes it back to its file; the snapshot has
/// it then too.
pub const WRITE_BACK_ATTEMPT: &str = "one_write_back_attempt";

/// The value of such a mark: OpenNebula's number of the VM, when, and by whom. No two are the same.
pub fn snapshot_attempt(vm_id: u32) -> String {
    format!("{vm_id}-{}", this_attempt())
}

/// Whether this is a [`snapshot_attempt`] of the VM, and nothing else.
pub fn is_snapshot_attempt(vm_id: u32, text: &str) -> bool {
    let numbers: Option<Vec<u64>> = text.split('-').map(|part| part.parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.len() == 4 && numbers.first() == Some(&u64::from(vm_id)))
}

/// XAPI takes a snapshot this many seconds after it was asked at the latest, clocks that differ included.
const TAKEN_WITHIN_SECONDS: u64 = 600;

/// Whether the attempt can have taken a snapshot of this time, in seconds since 1970. Where the driver was killed the
/// mark stays on the disk, and a snapshot that somebody takes later has it too.
pub fn may_have_taken(attempt: &str, taken: Option<u64>) -> bool {
    let begun = attempt.split('-').nth(1).and_then(|seconds| seconds.parse::<u64>().ok());
    begun.zip(taken).is_some_and(|(begun, taken)| begun.abs_diff(taken) <= TAKEN_WITHIN_SECONDS)
}

/// The VM in it.
pub fn vm_id_of_attempt(attempt: &str) -> Option<u32> {
    attempt.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_attempt_of_the_vm_is_one() {
        assert!(is_snapshot_attempt(7, &snapshot_attempt(7)));
        assert!(!is_snapshot_attempt(8, &snapshot_attempt(7)));
        for text in ["", "7", "7-1-2", "7-1-2-3-4", "7-1-2-x", "7-1-2-3\n", "one-attempt-1-2"] {
            assert!(!is_snapshot_attempt(7, text), "{text:?}");
        }
    }

    #[test]
    fn a_snapshot_of_another_time_is_somebody_elses() {
        for (taken, may) in [(1000, true), (1600, true), (400, true), (1601, false), (399, false)] {
            assert_eq!(may_have_taken("7-1000-5-6", Some(taken)), may, "{taken}");
        }
        assert!(!may_have_taken("7-1000-5-6", None) && !may_have_taken("7-x", Some(1000)));
    }
}
