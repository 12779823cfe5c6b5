//! The states of VMs that OpenNebula did not make and may have imported (`onehost importvm`, up to 6.10). It
//! knows them by their DEPLOY_ID, and passes over those it did not import.

use crate::one::Release;
use crate::probe::vm_status::{Wild, line};
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Imported {
    /// Whether there can be any.
    possible: bool,
    now: BTreeMap<Uuid, State>,
    told: BTreeMap<Uuid, State>,
}

impl Imported {
    pub fn new(release: Option<&Release>) -> Imported {
        let possible = release.is_some_and(Release::imports);
        Imported { possible, now: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Takes in what the pool says. One that runs here no more is missed in the next whole list.
    pub fn observe(&mut self, host: &Uuid, seen: &[Wild]) {
        let here = seen.iter().filter(|vm| self.possible && vm.resident_on.as_ref() == Some(host));
        let state = |vm: &Wild| vm.state.or(self.now.get(&vm.deploy_id).copied()).unwrap_or(State::Running);
        self.now = here.map(|vm| (vm.deploy_id.clone(), state(vm))).collect();
    }

    /// Those whose state OpenNebula has not been told.
    pub fn changes(&self) -> String {
        self.lines(|vm, state| self.told.get(vm) != Some(&state))
    }

    pub fn all(&self) -> String {
        self.lines(|_, _| true)
    }

    fn lines(&self, tells: impl Fn(&Uuid, State) -> bool) -> String {
        let mut text = String::new();
        for (vm, state) in self.now.iter().filter(|(vm, state)| tells(vm, **state)) {
            line(&mut text, -1, vm, *state);
        }
        text
    }

    /// What was shown last has arrived.
    pub fn told(&mut self) {
        self.told.clone_from(&self.now);
    }
}
