//! What stands in the way of a revert, and what is to be said of it.

use crate::one::Vm;
use crate::report::{self, Result};
use crate::translate::{mark, memory};
use crate::xe::snapshot::Snapshot;
use crate::xe::vbd::{Kind, Vbd};
use anyhow::bail;

/// The disk would be in no VM afterwards, with all that the guest has written to it.
pub fn check_no_disk_is_newer(now: &[Vbd], then: &[Vbd]) -> Result<()> {
    for vbd in now.iter().filter(|vbd| vbd.kind == Kind::Disk && vbd.vdi_uuid.is_some()) {
        let Some(disk_id) = mark::disk_id(vbd) else { continue };
        let is_same =
            |old: &&Vbd| mark::disk_id(old) == Some(disk_id) && mark::image_id(old) == mark::image_id(vbd);
        if !then.iter().any(|old| is_same(&old)) {
            bail!(
                "disk {disk_id} was attached after the snapshot was taken, which knows nothing of it: detach it first"
            );
        }
    }
    Ok(())
}

/// OpenNebula would know nothing of the disk: nobody would bring back what the guest writes there, or remove it.
pub fn check_no_disk_comes_back(wanted: Option<&Vm>, then: &[Vbd]) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    for vbd in then.iter().filter(|vbd| vbd.kind == Kind::Disk && vbd.vdi_uuid.is_some()) {
        let Some(disk_id) = mark::disk_id(vbd) else { continue };
        let is_context = wanted.context.as_ref().is_some_and(|disc| disc.disk_id == disk_id);
        if !is_context && !wanted.disks.iter().any(|disk| mark::is_of(vbd, disk)) {
            bail!(
                "disk {disk_id} of the snapshot was detached after it was taken, and would come back unknown to \
                 OpenNebula: attach it again first, or delete the snapshot"
            );
        }
    }
    Ok(())
}

/// A revert takes back a resize too, of which OpenNebula learns nothing.
pub fn warn_of_size(wanted: Option<&Vm>, then: &Snapshot) {
    let Some(wanted) = wanted else { return };
    if memory::limits(wanted).dynamic_max_bytes != then.memory_bytes || wanted.vcpu != then.vcpus {
        report::warn(format!(
            "the VM has the size of its snapshot again, {} MB and {} VCPUs, not the {} MB and {} VCPUs that OpenNebula \
             counts: it gets those when it is powered off and resumed",
            then.memory_bytes / memory::MIB,
            then.vcpus,
            wanted.memory_mb,
            wanted.vcpu
        ));
    }
}
