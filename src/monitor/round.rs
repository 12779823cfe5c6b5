//! One round of a kind's probes.

use super::files::Files;
use super::host::Host;
use super::kind::Kind;
use super::log::Log;
use super::third_party;
use crate::report::Result;

/// What our probes of this kind say, and the administrator's after it. One of theirs that fails is logged;
/// ours fails the round. STATE_VM's own part is told by `status.rs`.
pub fn text(host: &Host, kind: Kind, files: &Files, log: &Log) -> Result<String> {
    let mut text = match kind {
        Kind::SystemHost => host.ask("host/system")?,
        Kind::MonitorHost => host.ask("host/monitor")?,
        Kind::MonitorVm => {
            host.measure(files, log);
            // What vm/snapshot says by hand, wild VMs, is told with host/system: onemonitord reads it there alone.
            host.ask("vm/monitor")?
        }
        Kind::BeaconHost => host.ask("host/beacon")?,
        Kind::ExecVm => host.ask("vm/execution")?,
        Kind::StateVm => String::new(),
    };
    text.push_str(&of_others(host, kind, log));
    Ok(text)
}

/// What the administrator's probes of this kind say.
pub fn of_others(host: &Host, kind: Kind, log: &Log) -> String {
    let mut text = String::new();
    for (probe, said) in kind.folders().iter().flat_map(|folder| third_party::run(host, folder)) {
        let name = probe.display().to_string();
        match said {
            Ok(said) => {
                log.well(&name);
                text.push_str(&said);
            }
            Err(why) => log.say(&name, &format!("{why:#}")),
        }
    }
    text
}
