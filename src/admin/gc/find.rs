//! Tells leftovers from what is still wanted. In doubt nothing is one.

use super::inventory::{Inventory, Machine};
use super::leftover::{Kind, Leftover, Precious, Removal};
use crate::action::deploy::existing;
use crate::admin::claims::{Claim, Claims};
use crate::lock::VmLock;
use crate::parallel;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::Vdi;
use crate::xe::{PowerState, Uuid, Xe};
use std::collections::HashSet;

/// What decides.
pub struct Judge<'a> {
    pub xe: &'a Xe,
    /// None: nobody told which VMs OpenNebula has.
    pub claims: Option<Claims>,
    /// A VM runs that is not in the list: it is old, or not of all VMs of this pool.
    pub is_doubtful: bool,
    /// A VM that was begun before this time, in seconds since 1970, is no longer being made.
    pub begun_before: u64,
}

impl Judge<'_> {
    /// What the list says, whether it can be trusted or not.
    pub fn said(&self, vm_id: u32) -> Claim {
        self.claims.as_ref().map_or(Claim::Unknown, |claims| claims.of(vm_id))
    }

    pub fn claim(&self, vm_id: u32) -> Claim {
        match self.said(vm_id) {
            Claim::Unclaimed if self.is_doubtful => Claim::Unknown,
            said => said,
        }
    }

    pub fn is_old(&self, installed: Option<u64>) -> bool {
        installed.is_some_and(|time| time < self.begun_before)
    }

    /// All leftovers of the pool.
    pub fn leftovers(&self, pool: &Inventory) -> Result<Vec<Leftover>> {
        let mut found = Vec::new();
        let is_idle = |vm: &&Machine| !vm.more.is_busy && !VmLock::is_held(vm.vm_id);
        for unmarked in pool.unmarked.iter().filter(is_idle) {
            if self.is_old(unmarked.more.installed) && !unmarked.vm.has_started && unmarked.is_halted() {
                let why = "a deployment was killed before it had marked it";
                let (uuid, vm_id) = (&unmarked.vm.uuid, unmarked.vm_id);
                found.push(Leftover::remove(Kind::Vm, uuid, vm_id, why, Removal::Unmarked));
            }
        }
        let idle: Vec<&Machine> = pool.ours.iter().filter(is_idle).collect();
        for vm in parallel::map(&idle, |vm| self.of_vm(pool, vm)) {
            found.extend(vm?);
        }
        found.extend(pool.vdis.iter().filter_map(|vdi| self.of_vdi(pool, vdi)));
        found.extend(self.of_snapshots(pool));
        found.extend(of_suspend_images(pool));
        Ok(found)
    }

    fn of_vm(&self, pool: &Inventory, machine: &Machine) -> Result<Option<Leftover>> {
        let (uuid, vm_id) = (&machine.vm.uuid, machine.vm_id);
        let claim = self.claim(vm_id);
        if !machine.is_halted() {
            return Ok((self.said(vm_id) == Claim::Unclaimed).then(|| awake(machine)));
        }
        if pool.ours.iter().any(|newer| newer.vm.has_started && mark::replaces(&newer.vm, uuid)) {
            let why = "a newer VM has taken over its disks and runs or ran";
            return Ok(Some(Leftover::remove(Kind::Vm, uuid, vm_id, why, Removal::Record)));
        }
        let may_be_half_made = !machine.vm.has_started && self.is_old(machine.more.installed);
        if claim != Claim::Unclaimed && !may_be_half_made {
            return Ok(None);
        }
        let vbds = Vbd::of_vm(self.xe, uuid)?;
        let own_vdis: Vec<Vdi> = pool
            .vdis
            .iter()
            .filter(|vdi| mark::vm_of_vdi(&vdi.tags).as_ref() == Some(uuid))
            .cloned()
            .collect();
        if may_be_half_made && !existing::is_complete(vm_id, &vbds, &own_vdis) {
            let why = "a deployment was killed before it had all its disks; it never ran";
            return Ok(Some(Leftover::remove(Kind::Vm, uuid, vm_id, why, Removal::HalfMade)));
        }
        if claim != Claim::Unclaimed {
            return Ok(None);
        }
        if machine.vm.snapshots > 0 {
            let advice = "remove its snapshots first if nobody wants them (xe snapshot-uninstall uuid=…)";
            return Ok(Some(Leftover::keep(Kind::Vm, uuid, vm_id, NO_SUCH_VM, advice.to_owned())));
        }
        let precious = precious(&vbds, &pool.vdis);
        Ok(Some(Leftover::remove(Kind::Vm, uuid, vm_id, NO_SUCH_VM, Removal::Whole(precious))))
    }

    /// A disk that is in no VM, of a VM that the pool has no more. It may hold what its guest wrote last.
    fn of_vdi(&self, pool: &Inventory, vdi: &Vdi) -> Option<Leftover> {
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

    /// Anybody may have taken them, with a backup in mind.
    fn of_snapshots(&self, pool: &Inventory) -> Vec<Leftover> {
        let of_ours =
            pool.snapshots.iter().filter_map(|snapshot| Some((&snapshot.uuid, snapshot.of.as_ref()?)));
        let gone = of_ours.filter(|(_, (_, of))| !pool.machines.contains(of));
        let unclaimed = gone.filter(|(_, (vm_id, _))| self.claim(*vm_id) != Claim::Claimed);
        let keep = unclaimed.map(|(uuid, (vm_id, _))| {
            let advice = format!(
                "it may be somebody's backup; if it is not: xe snapshot-uninstall uuid={uuid} force=true"
            );
            Leftover::keep(Kind::Snapshot, uuid, *vm_id, "the pool has its VM no more", advice)
        });
        keep.collect()
    }
}

const PERSISTENT: &str = "it is a persistent image, and what its guest wrote last may be nowhere else";
const NO_SUCH_VM: &str = "it is halted, and OpenNebula has no such VM";

/// Its guest may be at work for somebody.
fn awake(machine: &Machine) -> Leftover {
    let why = match machine.vm.power_state {
        PowerState::Suspended => "it is suspended, but OpenNebula has no such VM",
        _ => "it runs, but OpenNebula has no such VM",
    };
    let uuid = &machine.vm.uuid;
    let advice = format!("if nobody wants it nor its disks: one-xcp cancel {uuid} --discard");
    Leftover::keep(Kind::Vm, uuid, machine.vm_id, why, advice)
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

/// A memory image of one of our VMs that nothing can be resumed from: no VM and no snapshot names it.
fn of_suspend_images(pool: &Inventory) -> Vec<Leftover> {
    let of_vms = pool.ours.iter().map(|vm| (vm.vm_id, vm.vm.uuid.clone()));
    let of_snapshots = pool.snapshots.iter().filter_map(|snapshot| snapshot.of.clone());
    let of_vdis = pool
        .vdis
        .iter()
        .filter_map(|vdi| Some((mark::disk_of_vdi(&vdi.tags)?.0, mark::vm_of_vdi(&vdi.tags)?)));
    let ours: HashSet<(u32, Uuid)> = of_vms.chain(of_snapshots).chain(of_vdis).collect();
    let is_busy = |uuid: &Uuid| pool.ours.iter().any(|vm| vm.vm.uuid == *uuid && vm.more.is_busy);
    let unnamed = pool.suspend_images.iter().filter(|image| !pool.suspended_to.contains(&image.uuid));
    let leftover = unnamed.filter(|image| !is_busy(&image.vm)).filter_map(|image| {
        let (vm_id, _) = ours.iter().find(|(_, vm)| *vm == image.vm)?;
        let why = "no VM and no snapshot can be resumed from it";
        Some(Leftover::remove(Kind::SuspendImage, &image.uuid, *vm_id, why, Removal::SuspendImage))
    });
    leftover.filter(|leftover| !VmLock::is_held(leftover.vm_id)).collect()
}
