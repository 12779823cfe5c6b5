//! Disks of VMs that the pool has no more, and what makes a disk worth keeping.

use super::Judge;
use crate::admin::claims::Claim;
use crate::admin::gc::inventory::Inventory;
use crate::admin::gc::leftover::{Kind, Leftover, Precious, Removal};
use crate::lock::VmLock;
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::Vdi;

const PERSISTENT: &str = "it is a persistent image, and what its guest wrote last may be nowhere else";

impl Judge<'_> {
    /// A disk that is in no VM, of a VM that the pool has no more. It may hold what its guest wrote last.
    pub(super) fn of_vdi(&self, pool: &Inventory, vdi: &Vdi) -> Option<Leftover> {
        let made_for = mark::vm_of_vdi(&vdi.tags)?;
        let (vm_id, disk_id) = mark::disk_of_vdi(&vdi.tags)?;
        if vdi.vbds > 0 || vdi.is_a_snapshot || VmLock::is_held(vm_id) {
            return None;
        }
        if let Some(owner) = pool.ours.iter().find(|vm| vm.vm.uuid == made_for) {
            // Part of a half-made VM, or on its way in or out.
            let settled = owner.vm.has_started && !owner.more.is_busy && self.is_old(owner.more.installed);
            let advice = format!(
                "it was disk {disk_id}; if nobody wants what is in it: xe vdi-destroy uuid={}",
                vdi.uuid
            );
            let why = "its VM is there, and does not have it";
            return settled.then(|| Leftover::keep(Kind::Vdi, &vdi.uuid, vm_id, why, advice));
        }
        if pool.machines.contains(&made_for) {
            return None;
        }
        let reason = match self.claim(vm_id) {
            _ if is_persistent(vdi) => PERSISTENT.to_owned(),
            Claim::Claimed => format!("OpenNebula still has VM {vm_id}, and may miss what its guest wrote"),
            Claim::Unknown => "nobody told whether OpenNebula still has its VM (--vms-of)".to_owned(),
            // XAPI gives a copy all tags of what it was copied from.
            Claim::Unclaimed => "it may be a copy that somebody made of the disk, to keep".to_owned(),
        };
        let precious = Precious { vdi: vdi.uuid.clone(), disk_id, reason };
        let why = format!("it was disk {disk_id}, and the pool has its VM no more");
        Some(Leftover::remove(Kind::Vdi, &vdi.uuid, vm_id, &why, Removal::Vdi(precious)))
    }
}

fn is_persistent(vdi: &Vdi) -> bool {
    vdi.tags.iter().any(|tag| tag == mark::PERSISTENT_TAG)
}

/// The VM's disks that hold persistent images.
pub fn precious(vbds: &[Vbd], vdis: &[Vdi]) -> Vec<Precious> {
    let of_vbd = |vbd: &Vbd| {
        let vdi = vdis.iter().find(|vdi| Some(&vdi.uuid) == vbd.vdi_uuid.as_ref())?;
        let disk_id = mark::disk_id(vbd)?;
        let reason = PERSISTENT.to_owned();
        (mark::goes_with_vm(vbd) && is_persistent(vdi)).then(|| Precious {
            vdi: vdi.uuid.clone(),
            disk_id,
            reason,
        })
    };
    vbds.iter().filter_map(of_vbd).collect()
}
