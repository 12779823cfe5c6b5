//! `vm/status`: the state of OpenNebula's VMs on the host.

use super::Subject;
use crate::console;
use crate::one::Release;
use crate::report::Result;
use crate::translate::mark;
use crate::translate::vm_state::{self, State};
use crate::xe::{Record, Uuid, Xe, record::map_value};
use std::collections::HashSet;
use std::fmt::{Display, Write};

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
    /// Where its console is to listen, as the mark in `other-config` says.
    pub console: Option<String>,
    /// It has persistent disks that go back to files when its guest powers itself off.
    pub writes_back: bool,
}

/// A VM that OpenNebula did not make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wild {
    pub deploy_id: Uuid,
    pub state: Option<State>,
    pub resident_on: Option<Uuid>,
}

/// The VMs of a pool.
#[derive(Debug, Default)]
pub struct Seen {
    pub ours: Vec<Status>,
    /// Another machine (OS/UUID) has been made under their number since: OpenNebula takes what is told of a number for
    /// its own VM, and would call that one by their DEPLOY_ID.
    pub superseded: Vec<Status>,
    pub wild: Vec<Wild>,
}

/// OpenNebula's VMs in the whole pool.
pub fn all(xe: &Xe) -> Result<Vec<Status>> {
    let Seen { ours, superseded, .. } = seen(xe)?;
    Ok(ours.into_iter().chain(superseded).collect())
}

/// All VMs of the pool, in one call of `xe`. A copy of a VM has all its marks; only the VM whose mark is its own
/// is OpenNebula's.
pub fn seen(xe: &Xe) -> Result<Seen> {
    let listed = xe.list("vm", &FIELDS, &[("is-control-domain", "false")], Listed::read)?;
    let superseded: HashSet<Uuid> = listed.iter().flat_map(|vm| vm.supersedes.clone()).collect();
    let mut seen = Seen::default();
    for Listed { vm_id, wild, migrates, console, writes_back, .. } in listed {
        let Wild { deploy_id, state, resident_on } = wild;
        let is_superseded = superseded.contains(&deploy_id);
        match vm_id {
            Some(vm_id) => {
                let status = Status { vm_id, deploy_id, state, resident_on, migrates, console, writes_back };
                if is_superseded { seen.superseded.push(status) } else { seen.ours.push(status) }
            }
            None => seen.wild.push(Wild { deploy_id, state, resident_on }),
        }
    }
    Ok(seen)
}

/// A VM, before it is known whose it is.
struct Listed {
    /// OpenNebula's number, if it is OpenNebula's.
    vm_id: Option<u32>,
    wild: Wild,
    migrates: bool,
    console: Option<String>,
    writes_back: bool,
    supersedes: Vec<Uuid>,
}

impl Listed {
    fn read(record: &Record<'_>) -> Result<Listed> {
        let other_config = record.text("other-config");
        let is_original = map_value(other_config, mark::VM_UUID) == Some(record.text("uuid"));
        let vm_id = map_value(other_config, mark::VM_ID).and_then(|id| id.parse::<u32>().ok());
        let operations = || record.members("current-operations");
        Ok(Listed {
            vm_id: vm_id.filter(|_| is_original),
            wild: Wild {
                deploy_id: record.get("uuid")?,
                state: vm_state::state(record.get("power-state")?, operations()),
                resident_on: record.optional("resident-on")?,
            },
            migrates: vm_state::is_migrating(operations()),
            writes_back: map_value(other_config, mark::FOLDER).is_some_and(|folder| !folder.is_empty()),
            console: map_value(other_config, console::MARK).map(str::to_owned),
            supersedes: if is_original { mark::supersedes(other_config) } else { Vec::new() },
        })
    }
}

/// Adds `VM = [ … ]`.
pub fn line(text: &mut String, vm_id: impl Display, deploy_id: &Uuid, state: State) {
    _ = writeln!(text, "VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{deploy_id}\", STATE=\"{}\" ]", state.word());
}

pub fn run(subject: &Subject<'_>) -> Result<String> {
    let mut text = String::new();
    let seen = seen(subject.xe)?;
    let is_here = |host: &Option<Uuid>| host.as_ref() == Some(subject.host);
    for vm in seen.ours.iter().filter(|vm| is_here(&vm.resident_on)) {
        line(&mut text, vm.vm_id, &vm.deploy_id, vm.state.unwrap_or(State::Running));
    }
    if Release::beside(subject.called_as).is_some_and(|release| release.imports()) {
        for vm in seen.wild.iter().filter(|vm| is_here(&vm.resident_on)) {
            line(&mut text, -1, &vm.deploy_id, vm.state.unwrap_or(State::Running));
        }
    }
    Ok(text)
}
