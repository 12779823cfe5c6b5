//! Whose `xe` the storage scripts use: they run on the front-end, where there may be none.

use crate::one::Conf;
use crate::one::conf::NAMED_HOST;
use crate::report::{self, Result};
use crate::ssh;
use crate::xe::Xe;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Where XAPI listens for `xe -s` (xapi newcli.ml, `xapiport`).
const XE_PORT: u16 = 443;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Settles it: `XE_SERVER` means `xe -s` here; else the host that `XE_BRIDGE` or OpenNebula names is asked over ssh,
/// unless it is this machine; with neither, the `xe` of this machine is taken.
pub fn set(xe: &mut Xe, conf: &Conf, named: &str) -> Result<()> {
    if conf.optional("XE_SERVER").is_some() {
        return Ok(());
    }
    let host = conf.optional("XE_BRIDGE").unwrap_or(named);
    if !host.is_empty() {
        ssh::check_host(host)?;
        if !ssh::is_here(host) {
            xe.bridge = Some(host.to_owned());
        }
    }
    Ok(())
}

/// The first of the hosts of BRIDGE_LIST that answers. Where only one is named, or none answers, it is the first: its
/// own failure says why. Where settings name another machine none is asked.
pub fn answering<'a>(conf: &Conf, hosts: &[&'a str]) -> Result<&'a str> {
    let first = hosts.first().copied().unwrap_or_default();
    let server = conf.optional("XE_SERVER");
    let is_settled = match server {
        Some(server) => server != NAMED_HOST,
        None => conf.optional("XE_BRIDGE").is_some(),
    };
    if is_settled || hosts.len() < 2 {
        return Ok(first);
    }
    let mut silent = Vec::new();
    for host in hosts {
        ssh::check_host(host)?;
        let reached = match server {
            Some(_) => connect(host),
            None if ssh::is_here(host) => Ok(()),
            None => ssh::reach(host),
        };
        match reached {
            Ok(()) => {
                if !silent.is_empty() {
                    report::warn(format!("BRIDGE_LIST: {}: {host} is asked", silent.join("; ")));
                }
                return Ok(host);
            }
            Err(why) => silent.push(format!("{host} does not answer ({why})")),
        }
    }
    Ok(first)
}

fn connect(host: &str) -> std::result::Result<(), String> {
    // An IPv6 address may be in brackets.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, XE_PORT).to_socket_addrs().map_err(|why| why.to_string())?;
    let mut failure = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(_) => return Ok(()),
            Err(why) => failure = why.to_string(),
        }
    }
    Err(failure)
}
