//! Snapshots that incremental backups are made from: OpenNebula's VM has gone without `tm/xcp`, or a backup was killed.

use super::{Name, Remedy, Search};
use crate::admin::claims::Claim;
use crate::xe::Uuid;

impl Search<'_> {
    /// What is wrong with a snapshot that has the mark of the VM's incremental backups.
    pub(super) fn increment(&self, uuid: &Uuid, vm_id: u32, name: &Name) -> Option<(&'static str, Remedy)> {
        // Before it goes, the VM's lock is taken.
        if self.judge.claim(vm_id) == Claim::Unclaimed {
            let why = "incremental backups of a VM that OpenNebula has no more began at it";
            if name.increment_of.is_some() {
                return Some((why, Remedy::Destroy));
            }
            let advice = format!("if nobody wants what is in it: xe vdi-destroy uuid={uuid}");
            let disk = Some((vm_id, self.disk_of_snapshot(name).map_or(0, |(_, disk_id)| disk_id)));
            return Some((why, self.saved(disk, advice)));
        }
        let is_left = name.has_data && self.judge.is_old(name.taken) && !self.is_at_work(vm_id);
        let (why, advice) = if name.increment_of.is_some() {
            ("a backup was made from it, and has not ended", "the VM's next backup removes it".to_owned())
        } else {
            let advice = format!("if nobody wants it: xe vdi-destroy uuid={uuid}");
            ("a backup was killed as it took it, or somebody took it meanwhile", advice)
        };
        is_left.then_some((why, Remedy::Advice(advice)))
    }
}
