//! Tells leftovers from what is still wanted. In doubt nothing is one.

mod snapshot;
mod suspend_image;
mod vdi;
mod vm;

pub use snapshot::{disks, in_foreign_snapshots};
pub use vdi::precious;

use super::inventory::{Inventory, Machine};
use super::leftover::{Kind, Leftover, Removal};
use crate::admin::claims::{Claim, Claims};
use crate::lock::VmLock;
use crate::parallel;
use crate::report::Result;
use crate::xe::Xe;

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
        found.extend(self.of_snapshots(pool)?);
        found.extend(suspend_image::of_none(pool));
        Ok(found)
    }
}
