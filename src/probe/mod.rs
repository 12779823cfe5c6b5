//! What OpenNebula's information driver asks of a host: one file for each probe, each prints `NAME=value`
//! text. By hand: `one-xcp probe host/system xcp 0 HOST`.

mod datastores;
mod host_monitor;
mod host_system;
mod vm_status;

use crate::action::Caller;
use crate::one::MonitorConfiguration;
use crate::report::Result;
use crate::xe::host::{self, Host};
use crate::xe::{Uuid, Xe};
use anyhow::bail;
use std::fmt::{Display, Write};
use std::path::Path;

/// Print what one of OpenNebula's probes tells of a host or its VMs.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The probe: host/system, host/monitor or vm/status
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
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &args.host)?;
    match args.probe.as_str() {
        "host/system" => {
            let configuration = MonitorConfiguration::from_stdin()?;
            let mut text = host_system::run(&xe, args, &caller.called_as)?;
            let said = configuration.as_ref().map(|configuration| configuration.datastore_location.as_str());
            let location = conf.optional("DATASTORE_LOCATION").or(said).unwrap_or("/var/lib/one/datastores");
            datastores::describe(&mut text, Path::new(location))?;
            Ok(text)
        }
        "host/monitor" => host_monitor::run(&xe, args),
        "vm/status" => vm_status::run(&xe, args),
        other => bail!("there is no probe {other:?}; there are host/system, host/monitor and vm/status"),
    }
}

impl Args {
    /// The uuid of the host that is asked about.
    fn host_uuid(&self, xe: &Xe) -> Result<Uuid> {
        let hosts = Host::all(xe)?;
        match hosts.as_slice() {
            [only] if self.host.is_empty() => Ok(only.uuid.clone()),
            _ => Ok(host::named(&hosts, &self.host)?.uuid.clone()),
        }
    }
}

/// Adds `NAME=1` or `NAME="text"`: numbers bare, text quoted as OpenNebula's template syntax wants it.
fn number(text: &mut String, name: &str, value: impl Display) {
    _ = writeln!(text, "{name}={value}");
}

/// A quote or a backslash in the text could end the value; control characters the line.
fn string(text: &mut String, name: &str, value: &str) {
    let safe: String =
        value.chars().filter(|c| !c.is_control() && !['"', '\\', '[', ']'].contains(c)).collect();
    _ = writeln!(text, "{name}=\"{safe}\"");
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_text_can_end_its_value() {
        let mut text = String::new();
        super::string(&mut text, "MODELNAME", "a\"b\nSTATE=\"x\" ]\\");
        assert_eq!(text, "MODELNAME=\"abSTATE=x \"\n");
    }
}
