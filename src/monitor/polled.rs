//! OpenNebula up to 5.10 has no onemonitord: its `run_probes` calls everything in `im/xcp.d` each time and reads
//! what is printed. There no client stays behind.

use super::files::Files;
use super::host::Host;
use super::log::Log;
use super::third_party;
use crate::action::Caller;
use crate::one::monitor_configuration::{Network, ProbesPeriod};
use crate::one::{MonitorConfiguration, Release};
use crate::probe::polled;
use crate::report::{self, Result};
use anyhow::Context;

/// `DATASTORE_LOCATION PORT PERIOD HOST_ID HOST` from 4.4 on, `HOST_ID HOST` before.
const WORDS_SINCE_4_4: usize = 5;

/// Prints it all: host, datastores and VMs, and what the administrator's own probes say, which are beside ours
/// in `im/xcp-probes.d`.
pub fn run(caller: &Caller, im_mad: &str, words: &[&str]) -> Result<String> {
    let [.., host_id, name] = words else { anyhow::bail!("HOST_ID and HOST are missing") };
    let location = words.first().filter(|word| word.starts_with('/')).copied();
    let configuration = MonitorConfiguration {
        datastore_location: location.unwrap_or("/var/lib/one/datastores").to_owned(),
        host_id: host_id.parse().context("HOST_ID is not a number")?,
        im_mads: Vec::new(),
        network: Network::default(),
        probes_period: ProbesPeriod::default(),
    };
    let host = Host::new(caller, im_mad, name, String::new(), &configuration)?.for_one_round();
    let files = Files::of_host(configuration.host_id)?;
    host.measure(&files, &Log::new(files.clone()));
    let mut text = host.tell(polled::host)?;
    let reads_vms = Release::beside(&caller.called_as).is_some() || words.len() >= WORDS_SINCE_4_4;
    if reads_vms {
        text.push_str(&host.tell(polled::rest)?);
    }
    for (probe, said) in third_party::run_with(&host, "", words) {
        match said {
            Ok(said) => text.push_str(&said),
            Err(why) => report::warn(format!("{}: {why:#}", probe.display())),
        }
    }
    Ok(text)
}
