//! What OpenNebula's information driver asks of a host: one file for each probe, each prints `NAME=value`
//! text. By hand: `one-xcp probe host/system xcp 0 HOST`.

pub mod counters;
pub mod cpu_asked;
mod datastores;
pub mod details;
mod disk_sizes;
mod guest_addresses;
mod host_monitor;
mod host_system;
mod numa;
pub mod pci;
pub mod polled;
pub mod rrd_updates;
mod storage;
mod subject;
mod text;
mod turns;
mod vm_monitor;
pub mod vm_status;
mod wild_vms;

pub use counters::Counters;
pub use details::Details;
pub use subject::Subject;
pub use turns::Turns;

use crate::action::Caller;
use crate::links;
use crate::one::{Conf, MonitorConfiguration, execution};
use crate::report::{self, Result};
use crate::xe::host::{self, Host};
use crate::xe::{Restart, Uuid, Xe};
use anyhow::Context;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subject::{of_host, of_host_or_pool};
use text::{harmless, number, string};

/// Print what one of OpenNebula's probes tells of a host or its VMs.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The probe, named by its folder: host/system, host/monitor, vm/status, vm/monitor, vm/snapshot …
    probe: String,
    /// The information driver's name
    #[arg(default_value = "xcp")]
    im_mad: String,
    /// OpenNebula's number of the host
    #[arg(default_value = "0")]
    host_id: String,
    /// The host, as OpenNebula names it; without it the only host of the pool
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    if let Some(text) = without_xapi(&args.probe) {
        return Ok(text);
    }
    let conf = caller.conf()?;
    let mut xe = caller.xe(&conf, &args.host)?;
    // oned runs the probe again.
    xe.restart = Restart::within(Duration::ZERO);
    let configuration = MonitorConfiguration::from_stdin()?;
    let mut counters = Counters::default();
    let needs_figures = args.probe.ends_with("/monitor");
    let xapi = caller.xapi(&conf, &args.host)?.filter(|_| needs_figures);
    let measured = xapi.map(|xapi| rrd_updates::add_to(&mut counters, &xapi, unix_time()));
    if let Some(Err(why)) = &measured {
        report::warn(without_figures(why));
    }
    let pci = pci::Filter::from_conf(&conf)?;
    let subject = Subject {
        xe: &xe,
        host: &host_uuid(&xe, &args.host)?,
        called_as: &caller.called_as,
        datastores: &datastore_location(&conf, configuration.as_ref()),
        is_measured: matches!(measured, Some(Ok(()))),
        counters: measured.and_then(Result::ok).map(|()| &counters),
        pci: pci.as_ref(),
        details: &Mutex::default(),
    };
    text(&args.probe, &subject)
}

/// What a probe says of its subject.
pub fn text(probe: &str, subject: &Subject<'_>) -> Result<String> {
    match probe {
        "host/system" => host_system::run(subject),
        "host/monitor" => host_monitor::run(subject),
        "vm/status" => vm_status::run(subject),
        "vm/monitor" => vm_monitor::run(subject),
        "vm/snapshot" => wild_vms::run(subject),
        other => without_xapi(other).with_context(|| {
            let names = links::PROBES.map(|(folder, _)| folder).join(", ");
            format!("there is no probe {other:?}; there are {names}")
        }),
    }
}

/// What says that the driver lives, or has nothing to say.
pub fn without_xapi(probe: &str) -> Option<String> {
    match probe {
        "host/beacon" => Some(format!("BEACON={}\n", unix_time())),
        "vm/execution" => Some(execution::recent()),
        _ => None,
    }
}

/// What it means that XAPI's measurements cannot be had.
pub fn without_figures(why: impl Display) -> String {
    let most = cpu_asked::MOST_A_ROUND;
    format!(
        "no figures of networks and disks, and each VM's CPU is asked by itself, {most} in a round: {why:#}"
    )
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Unless the administrator says where datastores are, it is what OpenNebula says.
pub fn datastore_location(conf: &Conf, configuration: Option<&MonitorConfiguration>) -> PathBuf {
    let said = configuration.map(|configuration| configuration.datastore_location.as_str());
    conf.optional("DATASTORE_LOCATION").or(said).unwrap_or("/var/lib/one/datastores").into()
}

/// The uuid of the host that OpenNebula calls `name`; without a name, of the pool's only one.
pub fn host_uuid(xe: &Xe, name: &str) -> Result<Uuid> {
    named_uuid(xe, &Host::all(xe)?, name)
}

/// The same of hosts that were asked for.
pub fn named_uuid(xe: &Xe, hosts: &[Host], name: &str) -> Result<Uuid> {
    match hosts {
        [only] if name.is_empty() => Ok(only.uuid.clone()),
        _ => Ok(host::called(xe, hosts, name)?.uuid.clone()),
    }
}
