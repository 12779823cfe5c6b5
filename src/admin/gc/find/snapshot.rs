//! XAPI's snapshots of VMs that OpenNebula has no more. Anybody may have taken one, with a backup in mind.

use super::Judge;
use crate::admin::claims::Claim;
use crate::admin::gc::inventory::Inventory;
use crate::admin::gc::leftover::{Kind, Leftover, Precious, Removal};
use crate::report::Result;
use crate::translate::mark;
use crate::xe::snapshot::Snapshot;
use crate::xe::vbd::{Kind as Medium, Vbd};
use crate::xe::{Uuid, Xe};

const MAY_BE_A_BACKUP: &str =
    "it is in a snapshot that OpenNebula did not take, which may be somebody's backup";

impl Judge<'_> {
    /// Snapshots whose VM the pool has no more.
    pub(super) fn of_snapshots(&self, pool: &Inventory) -> Result<Vec<Leftover>> {
        let mut found = Vec::new();
        for snapshot in &pool.snapshots {
            let Some((vm_id, of)) = &snapshot.of else { continue };
            let claim = self.claim(*vm_id);
            if pool.machines.contains(of) || claim == Claim::Claimed {
                continue;
            }
            let (uuid, why) = (&snapshot.uuid, "the pool has its VM no more");
            found.push(if claim == Claim::Unclaimed {
                Leftover::remove(Kind::Snapshot, uuid, *vm_id, why, Removal::Snapshot(disks(self.xe, uuid)?))
            } else {
                let advice = format!(
                    "it may be somebody's backup; if it is not: xe snapshot-uninstall uuid={uuid} force=true"
                );
                Leftover::keep(Kind::Snapshot, uuid, *vm_id, why, advice)
            });
        }
        Ok(found)
    }
}

/// The disks in a VM's snapshots that OpenNebula did not take. It takes snapshots under names of its own.
pub fn in_foreign_snapshots(xe: &Xe, vm_id: u32, vm: &Uuid) -> Result<Vec<Precious>> {
    let mut found = Vec::new();
    for snapshot in Snapshot::of_vm(xe, vm)? {
        let names = xe.values("snapshot", "name-label", &[("uuid", &snapshot.uuid.to_string())])?;
        if !names.iter().all(|name| mark::is_vm_snapshot_name(vm_id, name)) {
            found.extend(disks(xe, &snapshot.uuid)?);
        }
    }
    Ok(found)
}

/// The disks of a snapshot.
pub fn disks(xe: &Xe, snapshot: &Uuid) -> Result<Vec<Precious>> {
    let disk = |vbd: &Vbd| {
        let disk_id = mark::disk_id(vbd).or_else(|| vbd.userdevice.parse().ok())?;
        let vdi = vbd.vdi_uuid.clone().filter(|_| vbd.kind == Medium::Disk)?;
        Some(Precious { vdi, disk_id, reason: MAY_BE_A_BACKUP.to_owned() })
    };
    Ok(Vbd::of_vm(xe, snapshot)?.iter().filter_map(disk).collect())
}
