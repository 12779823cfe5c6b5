//! What OpenNebula up to 5.10 asks of a host: all in one text, VMs included, each with the line of its `poll`
//! (`VM_POLL=YES`, oned's Host.cc).

use super::vm_monitor::{self, Use};
use super::{Subject, datastores, host_monitor, host_system, pci, vm_status, wild_vms};
use crate::one::Release;
use crate::report::Result;
use crate::translate::vm_state::State;
use crate::xe::Uuid;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt::Write;

/// What a VM uses, in OpenNebula's names from 4.14 on and those before.
const USED: [(&str, &str); 4] =
    [("CPU", "USEDCPU"), ("MEMORY", "USEDMEMORY"), ("NETRX", "NETRX"), ("NETTX", "NETTX")];

/// The host's own values, one a line. Releases before 4.0 read nothing but these, and their VMs by `poll`.
pub fn host(subject: &Subject<'_>) -> Result<String> {
    Ok(host_system::own(subject)?.values + &host_monitor::run(subject)?)
}

/// The datastores' room, PCI devices and the VMs.
pub fn rest(subject: &Subject<'_>) -> Result<String> {
    let release = Release::beside(subject.called_as);
    let says_used = release.as_ref().is_none_or(Release::says_used);
    let seen = vm_status::seen(subject.xe)?;
    let ours = seen.ours.into_iter().map(|vm| (vm.deploy_id, vm.state));
    let all = ours.chain(seen.wild.into_iter().map(|vm| (vm.deploy_id, vm.state)));
    let states: HashMap<Uuid, State> = all.filter_map(|(vm, state)| Some((vm, state?))).collect();
    let vms = vm_monitor::all(subject)?;
    let poll = |used: &Use| {
        // On its way from one state to another it is still on the host.
        let state = states.get(&used.uuid).copied().unwrap_or(State::Running);
        format!("STATE={}{}", state.letter(), words(&used.text, says_used))
    };
    let mut text = String::new();
    datastores::describe(&mut text, subject.datastores)?;
    if let Some(filter) = subject.pci {
        pci::describe(&mut text, filter);
    }
    text.push_str("VM_POLL=YES\n");
    for used in &vms {
        if let Some(vm_id) = used.vm_id {
            _ = writeln!(text, "VM=[ ID={vm_id}, DEPLOY_ID={}, POLL=\"{}\" ]", used.uuid, poll(used));
        }
    }
    for vm in wild_vms::all(subject.xe, subject.host)? {
        let template = STANDARD.encode(vm.template(release.as_ref()));
        let poll = vms.iter().find(|used| used.uuid == vm.uuid).map(poll).unwrap_or_default();
        _ = writeln!(
            text,
            "VM=[ ID=-1, DEPLOY_ID={}, VM_NAME=\"{}\", IMPORT_TEMPLATE=\"{template}\", POLL=\"{poll}\" ]",
            vm.uuid, vm.name
        );
    }
    Ok(text)
}

/// `CPU="3.5"` lines as words after the state, unquoted: they stand in quotes themselves. A list of addresses
/// cannot be written so.
fn words(used: &str, says_used: bool) -> String {
    let mut words = String::new();
    for (name, value) in used.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim_matches('"');
        let old_name = USED.iter().find(|(new, _)| *new == name).map(|(_, old)| *old);
        match old_name {
            Some(old) if says_used => _ = write!(words, " {old}={value}"),
            None if says_used || name == "GUEST_IP_ADDRESSES" => {}
            _ => _ = write!(words, " {name}={value}"),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_vms_use_is_said_in_the_names_of_the_release() {
        let used = "MEMORY=\"512\"\nCPU=\"3.5\"\nNETRX=\"7\"\nDISKRDBYTES=\"9\"\nGUEST_IP=\"10.0.0.2\"\n\
                    GUEST_IP_ADDRESSES=\"10.0.0.2,::1\"\nDISK_SIZE=[ID=0,SIZE=6]\n";
        assert_eq!(words(used, true), " USEDMEMORY=512 USEDCPU=3.5 NETRX=7");
        assert_eq!(
            words(used, false),
            " MEMORY=512 CPU=3.5 NETRX=7 DISKRDBYTES=9 GUEST_IP=10.0.0.2 DISK_SIZE=[ID=0,SIZE=6]"
        );
    }
}
