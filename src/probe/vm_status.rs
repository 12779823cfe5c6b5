//! `vm/status`: the state of OpenNebula's VMs on the host.

use super::Subject;

use crate::report::Result;
use crate::translate::mark;
use crate::translate::vm_state::{self, State};
use crate::xe::{Record, Uuid, Xe, record::map_value};
use std::fmt::Write;

/// Fields that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 5] = ["uuid", "power-state", "resident-on", "current-operations", "other-config"];

/// One of OpenNebula's VMs, as the pool has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// OpenNebula's number.
    pub vm_id: u32,
    pub deploy_id: Uuid,
    /// None while it is on the way from one state to another.
    pub state: Option<State>,
    /// The host it runs on.
    pub resident_on: Option<Uuid>,
    /// XAPI is moving it to another host.
    pub migrates: bool,
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
        let operations = || record.members("current-operations");
        Ok(Some(Status {
            vm_id,
            deploy_id: record.get("uuid")?,
            state: vm_state::state(record.get("power-state")?, operations()),
            resident_on: record.optional("resident-on")?,
            migrates: vm_state::is_migrating(operations()),
        }))
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
            line(&mut text, vm.vm_id, &vm.deploy_id, vm.state.unwrap_or(State::Running));
        }
    }
    Ok(text)
}
