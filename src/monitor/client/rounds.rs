//! What the threads of a client do: a round of a kind's probes, and what they say sent.

use super::Client;
use crate::monitor::cadence::Wake;
use crate::monitor::kind::Kind;
use crate::monitor::round;
use crate::monitor::state_vm;
use crate::report::Result;
use crate::vnm;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The host is asked again so soon after a failure, and said to have failed after so many.
const SYSTEM_AGAIN: Duration = Duration::from_secs(10);
const SYSTEM_FAILURES: u32 = 3;

/// Starts the thread of a kind.
pub fn start(client: &Arc<Client>, kind: Kind) -> JoinHandle<()> {
    let client = Arc::clone(client);
    thread::spawn(move || match kind {
        Kind::StateVm => state_vm::run(&client),
        Kind::SystemHost => system_host(&client),
        _ => repeat(&client, kind),
    })
}

/// Starts the thread of the administrator's probes of STATE_VM.
pub fn start_others_states(client: &Arc<Client>) -> JoinHandle<()> {
    let client = Arc::clone(client);
    thread::spawn(move || state_vm::run_others(&client))
}

/// Starts the thread that keeps the switch's flows, where the client runs on the host: a guest that reboots has another
/// port, and waits for its flows.
pub fn start_flows(client: &Arc<Client>) -> Option<JoinHandle<()>> {
    if !client.host.xe.is_of_this_host() {
        return None;
    }
    let client = Arc::clone(client);
    Some(thread::spawn(move || {
        let mut watch = vnm::Watch::default();
        while client.cadence.rest(Kind::StateVm.period(&client.periods)) {
            match watch.look(&client.host.xe) {
                Ok(()) => client.log.well("flows"),
                Err(why) => client.log.say("flows", &format!("{why:#}")),
            }
        }
    }))
}

/// MONITOR_HOST, MONITOR_VM, EXEC_VM and BEACON_HOST: what is lost once comes again. Whether the host works
/// is for SYSTEM_HOST to say: a failure of these would show it as failed until the next SYSTEM_HOST.
fn repeat(client: &Client, kind: Kind) {
    let period = kind.period(&client.periods);
    let mut failing = false;
    if kind == Kind::BeaconHost {
        client.tell(kind, true, &client.round(kind).unwrap_or_default());
    }
    while client.cadence.rest(period) {
        let only_figures = matches!(kind, Kind::MonitorHost | Kind::MonitorVm);
        if only_figures && !client.reachable.load(Ordering::Relaxed) {
            continue;
        }
        match client.round(kind) {
            Ok(text) => {
                client.log.well(kind.name());
                failing = false;
                client.tell(kind, true, &text);
            }
            Err(why) => {
                client.failed(kind, &why, !failing);
                failing = true;
            }
        }
    }
}

/// SYSTEM_HOST decides whether OpenNebula takes the host for working. One failure may be XAPI restarting.
fn system_host(client: &Client) {
    let period = Kind::SystemHost.period(&client.periods);
    let mut failures = 0;
    let mut pause = period;
    while client.cadence.rest_unless_asked(pause) != Wake::End {
        match client.round(Kind::SystemHost) {
            Ok(text) => {
                client.log.well(Kind::SystemHost.name());
                client.tell(Kind::SystemHost, true, &text);
                failures = 0;
                pause = period;
            }
            Err(why) => {
                client.log.say(Kind::SystemHost.name(), &format!("{why:#}"));
                failures += 1;
                if failures % SYSTEM_FAILURES == 0 {
                    client.tell(Kind::SystemHost, false, &crate::report::one_line(&format!("{why:#}")));
                    client.host.doubt_uuid();
                }
                pause = period.min(SYSTEM_AGAIN);
            }
        }
    }
}

impl Client {
    fn round(&self, kind: Kind) -> Result<String> {
        round::text(&self.host, kind, &self.files, &self.log)
    }

    /// Sends by UDP; oned says nothing to empty messages but an error in its log.
    fn tell(&self, kind: Kind, success: bool, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.sender.send(kind, success, text) {
            Ok(()) => self.log.well("network"),
            Err(why) => self.log.say("network", &format!("{why:#}")),
        }
    }

    /// Logs what went wrong; the first time the host itself is looked at.
    pub fn failed(&self, kind: Kind, why: &anyhow::Error, first_time: bool) {
        self.log.say(kind.name(), &format!("{why:#}"));
        if first_time {
            self.cadence.ask_system();
        }
    }
}
