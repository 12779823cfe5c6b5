//! `vm/status`: the state of OpenNebula's VMs on the host.

use super::Args;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::{PowerState, Xe, vm};
use std::fmt::Write;

pub fn run(xe: &Xe, args: &Args) -> Result<String> {
    let host = args.host_uuid(xe)?;
    let mut text = String::new();
    for vm in vm::Vm::all(xe)? {
        let Some(vm_id) = vm.other_config(mark::VM_ID).and_then(|id| id.parse::<u32>().ok()) else {
            continue;
        };
        if mark::is_original(&vm) && vm.resident_on.as_ref() == Some(&host) {
            let state = state(vm.power_state);
            _ = writeln!(text, "VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{}\", STATE=\"{state}\" ]", vm.uuid);
        }
    }
    Ok(text)
}

/// XAPI's state in the words of OpenNebula's monitoring.
fn state(power_state: PowerState) -> &'static str {
    match power_state {
        PowerState::Running => "RUNNING",
        PowerState::Halted => "POWEROFF",
        PowerState::Paused | PowerState::Suspended => "SUSPENDED",
    }
}
