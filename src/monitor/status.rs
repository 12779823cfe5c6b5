//! What OpenNebula was told of each VM, so that it is told what has changed, and nothing else.

use crate::probe::vm_status::{Status, line};
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fmt::Write;

/// A VM that is not in the pool for so many rounds is gone.
const MISSING_ROUNDS: u32 = 3;

/// The VMs that ran on this host, by OpenNebula's number.
#[derive(Debug, Default)]
pub struct Memory {
    known: BTreeMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    deploy_id: Uuid,
    state: State,
    /// OpenNebula has taken it.
    told: bool,
    missing_rounds: u32,
    /// An action of OpenNebula's was at work on it when it went: OpenNebula knows.
    handled: bool,
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

    /// The VMs whose state OpenNebula has not been told.
    pub fn changes(&self) -> String {
        let mut text = String::new();
        for (vm_id, known) in self.known.iter().filter(|(_, known)| !known.told) {
            line(&mut text, *vm_id, &known.deploy_id, known.state);
        }
        text
    }

    /// All of them. What is not in this list, OpenNebula takes for powered off; so it needs no line for a VM
    /// that is, and must have none for one that OpenNebula has forgotten since.
    pub fn all(&self) -> String {
        let mut text = "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n".to_owned();
        for (vm_id, known) in &self.known {
            if known.state != State::Poweroff || !known.told {
                line(&mut text, *vm_id, &known.deploy_id, known.state);
            }
        }
        text
    }

    /// What was shown last has arrived.
    pub fn told(&mut self) {
        self.known.values_mut().for_each(|known| known.told = true);
        self.known.retain(|_, known| known.missing_rounds < MISSING_ROUNDS);
    }

    /// For the next client of this host: `VM_ID DEPLOY_ID STATE` of each that OpenNebula knows of.
    pub fn save(&self) -> String {
        let mut text = String::new();
        for (vm_id, known) in self.known.iter().filter(|(_, known)| known.told) {
            _ = writeln!(text, "{vm_id} {} {}", known.deploy_id, known.state.word());
        }
        text
    }

    /// Reads what [`Memory::save`] wrote; what is damaged is left out, and told once more.
    pub fn load(text: &str) -> Memory {
        let read = |line: &str| {
            let mut words = line.split(' ');
            let vm_id: u32 = words.next()?.parse().ok()?;
            let deploy_id: Uuid = words.next()?.parse().ok()?;
            let word = words.next()?;
            let state = State::ALL.into_iter().find(|state| state.word() == word)?;
            Some((vm_id, Known::new(deploy_id, state, true)))
        };
        Memory { known: text.lines().filter_map(read).collect() }
    }
}

impl Known {
    fn new(deploy_id: Uuid, state: State, told: bool) -> Known {
        Known { deploy_id, state, told, missing_rounds: 0, handled: false }
    }

    /// Counts a round without the VM; false when there is nothing more to tell of it.
    fn is_still_missed(&mut self, at_work: impl Fn(&Uuid) -> bool) -> bool {
        if self.state == State::Poweroff && self.told {
            return false;
        }
        self.handled |= at_work(&self.deploy_id);
        self.missing_rounds += 1;
        if self.missing_rounds < MISSING_ROUNDS {
            return true;
        }
        self.told &= self.state == State::Poweroff;
        self.state = State::Poweroff;
        !self.handled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(number: u32) -> Uuid {
        format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
    }

    fn vm(vm_id: u32, state: impl Into<Option<State>>, host: Option<u32>) -> Status {
        let (deploy_id, state) = (uuid(vm_id), state.into());
        Status { vm_id, deploy_id, state, resident_on: host.map(uuid), migrates: false, console: None }
    }

    fn observe(memory: &mut Memory, seen: &[Status]) -> String {
        memory.observe(&uuid(100), seen, |_| false);
        memory.changes()
    }

    fn said(vm_id: u32, word: &str) -> String {
        format!("VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{}\", STATE=\"{word}\" ]\n", uuid(vm_id))
    }

    /// A client that has told that VM 1 runs.
    fn running() -> Memory {
        let mut memory = Memory::default();
        let changes = observe(&mut memory, &[vm(1, State::Running, Some(100))]);
        assert_eq!(changes, said(1, "RUNNING"));
        memory.told();
        memory
    }

    #[test]
    fn only_what_changed_is_told_until_it_has_arrived() {
        let mut memory = running();
        assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(100))]), "");
        let halted = [vm(1, State::Poweroff, None)];
        assert_eq!(observe(&mut memory, &halted), said(1, "POWEROFF"));
        assert_eq!(observe(&mut memory, &halted), said(1, "POWEROFF"));
        memory.told();
        assert_eq!(observe(&mut memory, &halted), "");
        assert_eq!(memory.all(), "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n");
    }

    #[test]
    fn a_vm_on_its_way_keeps_its_state() {
        let mut memory = running();
        assert_eq!(observe(&mut memory, &[vm(1, None, None)]), "");
        memory.observe(&uuid(100), &[vm(1, State::Poweroff, None)], |_| true);
        assert_eq!(memory.changes(), "");
        assert!(memory.all().ends_with(&said(1, "RUNNING")));
    }

    #[test]
    fn a_vm_that_runs_elsewhere_is_not_ours_to_tell() {
        let mut memory = running();
        for _ in 0..5 {
            assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(200))]), "");
        }
        assert!(!memory.all().contains("VM ="));
        assert_eq!(observe(&mut memory, &[vm(2, State::Poweroff, None)]), "", "never seen here");
    }

    #[test]
    fn a_vm_that_is_being_moved_is_missed_nowhere() {
        let mut memory = running();
        let moving = Status { migrates: true, ..vm(1, State::Running, Some(200)) };
        for _ in 0..5 {
            assert_eq!(observe(&mut memory, std::slice::from_ref(&moving)), "");
            assert!(memory.all().ends_with(&said(1, "RUNNING")), "{}", memory.all());
        }
        assert_eq!(observe(&mut memory, &[Status { migrates: false, ..moving.clone() }]), "");
        assert!(!memory.all().contains("VM ="));
        let mut other_host = Memory::default();
        other_host.observe(&uuid(300), &[moving], |_| false);
        assert!(!other_host.all().contains("VM ="), "it never ran there");
    }

    #[test]
    fn a_vm_that_left_the_pool_is_told_in_the_third_round_and_once() {
        let mut memory = running();
        assert_eq!(observe(&mut memory, &[]), "");
        assert_eq!(observe(&mut memory, &[]), "");
        assert_eq!(observe(&mut memory, &[]), said(1, "POWEROFF"));
        assert_eq!(observe(&mut memory, &[]), said(1, "POWEROFF"), "not taken yet");
        memory.told();
        assert_eq!(observe(&mut memory, &[]), "");
        assert_eq!(memory.save(), "");
    }

    #[test]
    fn a_vm_that_an_action_took_out_of_the_pool_is_not_told() {
        let mut memory = running();
        memory.observe(&uuid(100), &[], |_| true);
        for _ in 0..5 {
            assert_eq!(observe(&mut memory, &[]), "");
        }
    }

    #[test]
    fn the_next_client_knows_what_was_told() {
        let mut memory = Memory::load(&running().save());
        assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(100))]), "");
        assert_eq!(observe(&mut memory, &[vm(1, State::Suspended, None)]), said(1, "SUSPENDED"));
        assert_eq!(Memory::load("1 x RUNNING\n\0\n7").save(), "");
    }

    #[test]
    fn a_leftover_of_the_same_number_is_not_the_vm() {
        let mut memory = running();
        let leftover = Status { deploy_id: uuid(9), ..vm(1, State::Poweroff, None) };
        let both = [vm(1, State::Running, Some(100)), leftover.clone()];
        assert_eq!(observe(&mut memory, &both), "");
        assert_eq!(
            observe(&mut memory, &[leftover.clone(), vm(1, State::Poweroff, None)]),
            said(1, "POWEROFF")
        );
        memory.told();
        for _ in 0..3 {
            assert_eq!(observe(&mut memory, std::slice::from_ref(&leftover)), "");
        }
    }
}
