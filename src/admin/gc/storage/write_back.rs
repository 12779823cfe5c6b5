//! Snapshots that `save` takes of a disk to write it back, and leaves when it is killed.

use super::{Name, Remedy, Search};
use crate::admin::claims::Claim;
use crate::translate::mark;
use crate::xe::Uuid;

impl Search<'_> {
    /// What is wrong with a snapshot that has the mark of a write-back. What somebody else may have taken, while the mark
    /// of a killed driver was on the disk, is named only.
    pub(super) fn write_back(
        &self,
        uuid: &Uuid,
        vm_id: u32,
        attempt: &str,
        name: &Name,
    ) -> Option<(&'static str, Remedy)> {
        let is_left = self.judge.claim(vm_id) == Claim::Unclaimed || self.judge.is_old(name.taken);
        if !is_left || self.is_at_work(vm_id) {
            return None;
        }
        let is_same = |other: &&Name| {
            other.write_back.as_deref() == Some(attempt)
                && other.snapshot_of == name.snapshot_of
                && other.taken.is_some()
        };
        let is_only = self.names.values().filter(is_same).count() == 1;
        Some(if is_only && mark::may_have_taken(attempt, name.taken) {
            ("a suspended VM's disk was written back from it, and its driver was killed", Remedy::Destroy)
        } else {
            let advice = format!("if nobody wants it: xe vdi-destroy uuid={uuid}");
            let why = "a write-back was killed as it took it, or somebody took it meanwhile";
            (why, self.saved(self.disk_of_snapshot(name), advice))
        })
    }
}
