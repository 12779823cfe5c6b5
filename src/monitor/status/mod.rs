//! What OpenNebula was told of each VM, so that it is told what has changed, and nothing else.

mod known;
#[cfg(test)]
mod tests;
mod text;

use crate::probe::vm_status::Status;
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use known::Known;
pub use known::MISSING_ROUNDS;
use std::collections::{BTreeMap, HashSet};

/// The VMs that ran on this host, by OpenNebula's number.
#[derive(Debug, Default)]
pub struct Memory {
    known: BTreeMap<u32, Known>,
}

impl Memory {
    /// Takes in what the pool says. `at_work` tells whether an action of OpenNebula's is at work on a VM: then
    /// it is for that action to say what becomes of it. A VM that shows as halted while its disks are still
    /// being written back must not be taken for powered off.
    pub fn observe(&mut self, host: &Uuid, seen: &[Status], at_work: impl Fn(&Uuid) -> bool) {
        let (here, not_here): (Vec<&Status>, Vec<&Status>) =
            seen.iter().partition(|vm| vm.resident_on.as_ref() == Some(host));
        for vm in &here {
            self.set(vm, vm.state);
        }
        let on_host: HashSet<u32> = here.iter().map(|vm| vm.vm_id).collect();
        let mut there = on_host.clone();
        for vm in not_here.into_iter().filter(|vm| !on_host.contains(&vm.vm_id)) {
            if vm.resident_on.is_some() && !vm.migrates {
                // Another host's to report.
                self.known.remove(&vm.vm_id);
                continue;
            }
            let Some(known) = self.known.get(&vm.vm_id) else { continue };
            if vm.resident_on.is_some() {
                // It has all but moved. Until then it is missed where it was.
                there.insert(vm.vm_id);
                continue;
            }
            // What a failed deployment may have left has the same number.
            if known.deploy_id == vm.deploy_id {
                let state = vm.state.filter(|state| *state == known.state || !at_work(&vm.deploy_id));
                self.set(vm, state);
                there.insert(vm.vm_id);
            }
        }
        self.known.retain(|vm_id, known| there.contains(vm_id) || known.is_still_missed(&at_work));
    }

    /// Whether OpenNebula takes this very VM for one that is not powered off.
    pub fn is_on(&self, vm: &Status) -> bool {
        let known = self.known.get(&vm.vm_id).filter(|known| known.deploy_id == vm.deploy_id);
        known.is_some_and(|known| known.state != State::Poweroff)
    }

    /// A VM on its way to another state keeps the one it had.
    fn set(&mut self, vm: &Status, state: Option<State>) {
        match self.known.get_mut(&vm.vm_id) {
            Some(known) => {
                let state = state.unwrap_or(known.state);
                known.told &= known.state == state && known.deploy_id == vm.deploy_id;
                known.state = state;
                known.deploy_id = vm.deploy_id.clone();
                known.missing_rounds = 0;
                known.handled = false;
            }
            None => {
                if let Some(state) = state {
                    self.known.insert(vm.vm_id, Known::new(vm.deploy_id.clone(), state, false));
                }
            }
        }
    }

    /// What was shown last has arrived.
    pub fn told(&mut self) {
        self.known.values_mut().for_each(|known| known.told = true);
        self.known.retain(|_, known| known.missing_rounds < MISSING_ROUNDS);
    }
}
