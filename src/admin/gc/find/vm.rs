//! VMs that were never finished, or that OpenNebula has no more.

use super::{Judge, in_foreign_snapshots, precious};
use crate::action::deploy::existing;
use crate::admin::claims::Claim;
use crate::admin::gc::inventory::{Inventory, Machine};
use crate::admin::gc::leftover::{Kind, Leftover, Removal};
use crate::report::Result;
use crate::translate::mark;
use crate::xe::PowerState;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::Vdi;

const NO_SUCH_VM: &str = "it is halted, and OpenNebula has no such VM";
const SUSPENDED: &str = "it is suspended, and OpenNebula has no such VM";

impl Judge<'_> {
    pub(super) fn of_vm(&self, pool: &Inventory, machine: &Machine) -> Result<Option<Leftover>> {
        let (uuid, vm_id) = (&machine.vm.uuid, machine.vm_id);
        let claim = self.claim(vm_id);
        if machine.vm.power_state == PowerState::Suspended && claim == Claim::Unclaimed {
            return self.whole(pool, machine, &Vbd::of_vm(self.xe, uuid)?, SUSPENDED).map(Some);
        }
        if claim != Claim::Unclaimed && is_superseded(pool, machine) && !machine.is_awake() {
            return Ok(Some(superseded(machine)));
        }
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
        self.whole(pool, machine, &vbds, NO_SUCH_VM).map(Some)
    }

    /// With its disks and its snapshots.
    fn whole(&self, pool: &Inventory, machine: &Machine, vbds: &[Vbd], why: &str) -> Result<Leftover> {
        let (uuid, vm_id) = (&machine.vm.uuid, machine.vm_id);
        let mut disks = precious(vbds, &pool.vdis);
        if machine.vm.snapshots > 0 {
            disks.extend(in_foreign_snapshots(self.xe, vm_id, uuid)?);
        }
        Ok(Leftover::remove(Kind::Vm, uuid, vm_id, why, Removal::Whole(disks)))
    }
}

/// Whether a VM of the same number has been deployed that is another machine (OS/UUID).
fn is_superseded(pool: &Inventory, machine: &Machine) -> bool {
    let uuid = machine.vm.uuid.to_string();
    let names = |newer: &Machine| {
        let superseded = newer.vm.other_config(mark::SUPERSEDES).unwrap_or_default();
        superseded.split(',').any(|one| one == uuid)
    };
    pool.ours.iter().any(names)
}

/// It may be a VM of another OpenNebula that is still there, which no list of this one can tell.
fn superseded(machine: &Machine) -> Leftover {
    let why = "it is a VM of another OpenNebula, or of an earlier one, and off; this one has another VM of that number";
    let uuid = &machine.vm.uuid;
    let advice = format!("if no OpenNebula has it any more: one-xcp cancel {uuid} --discard");
    Leftover::keep(Kind::Vm, uuid, machine.vm_id, why, advice)
}

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
