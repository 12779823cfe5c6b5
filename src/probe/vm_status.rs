//! `vm/status`: the state of OpenNebula's VMs on the host.

use super::Subject;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::{PowerState, Record, Uuid, Xe, record::map_value};
use std::fmt::Write;

/// Fields that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 5] = ["uuid", "power-state", "resident-on", "current-operations", "other-config"];

/// One of OpenNebula's VMs, as the pool has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// OpenNebula's number.
    pub vm_id: u32,
    pub deploy_id: Uuid,
    pub power_state: PowerState,
    /// The host it runs on.
    pub resident_on: Option<Uuid>,
    /// XAPI is changing it.
    pub busy: bool,
}

impl Status {
    /// A copy of a VM has all its marks; only the VM whose mark is its own is OpenNebula's.
    fn read(record: &Record<'_>) -> Result<Option<Status>> {
        let other_config = record.text("other-config");
        let Some(vm_id) = map_value(other_config, mark::VM_ID).and_then(|id| id.parse().ok()) else {
            return Ok(None);
        };
        if map_value(other_config, mark::VM_UUID) != Some(record.text("uuid")) {
            return Ok(None);
        }
        Ok(Some(Status {
            vm_id,
            deploy_id: record.get("uuid")?,
            power_state: record.get("power-state")?,
            resident_on: record.optional("resident-on")?,
            busy: record.members("current-operations").next().is_some(),
        }))
    }

    /// OpenNebula's word for its state; none while it is on the way from one to another.
    pub fn state(&self) -> Option<State> {
        match (self.power_state, self.busy) {
            // Shutting down, migrating, taking a snapshot: it runs.
            (PowerState::Running, _) => Some(State::Running),
            (PowerState::Halted, false) => Some(State::Poweroff),
            (PowerState::Paused | PowerState::Suspended, false) => Some(State::Suspended),
            // Starting, being resumed, suspended for a checkpoint.
            (PowerState::Halted | PowerState::Paused | PowerState::Suspended, true) => None,
        }
    }
}

/// A VM's state in the words of OpenNebula's monitoring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Poweroff,
    Suspended,
}

impl State {
    pub const ALL: [State; 3] = [State::Running, State::Poweroff, State::Suspended];

    pub fn word(self) -> &'static str {
        match self {
            State::Running => "RUNNING",
            State::Poweroff => "POWEROFF",
            State::Suspended => "SUSPENDED",
        }
    }
}

/// OpenNebula's VMs in the whole pool, in one call of `xe`.
pub fn all(xe: &Xe) -> Result<Vec<Status>> {
    let found = xe.list("vm", &FIELDS, &[("is-control-domain", "false")], Status::read)?;
    Ok(found.into_iter().flatten().collect())
}

/// Adds `VM = [ … ]`.
pub fn line(text: &mut String, vm_id: u32, deploy_id: &Uuid, state: State) {
    _ = writeln!(text, "VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{deploy_id}\", STATE=\"{}\" ]", state.word());
}

pub fn run(subject: &Subject<'_>) -> Result<String> {
    let mut text = String::new();
    for vm in all(subject.xe)? {
        if vm.resident_on.as_ref() == Some(subject.host) {
            line(&mut text, vm.vm_id, &vm.deploy_id, vm.state().unwrap_or(State::Running));
        }
    }
    Ok(text)
}
