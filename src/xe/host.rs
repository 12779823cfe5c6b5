//! XAPI hosts.

use super::{Record, Uuid, Xe};
use crate::report::Result;
use anyhow::bail;
use std::fs;
use std::net::ToSocketAddrs;
use std::path::Path;

const FIELDS: [&str; 4] = ["uuid", "name-label", "hostname", "address"];

/// A host of the pool. Its names are the administrator's.
#[derive(Clone, Debug)]
pub struct Host {
    pub uuid: Uuid,
    pub name_label: String,
    pub hostname: String,
    pub address: String,
}

impl Host {
    fn read(record: &Record<'_>) -> Result<Host> {
        Ok(Host {
            uuid: record.get("uuid")?,
            name_label: record.text("name-label").to_owned(),
            hostname: record.text("hostname").to_owned(),
            address: record.text("address").to_owned(),
        })
    }

    /// The hosts of the pool.
    pub fn all(xe: &Xe) -> Result<Vec<Host>> {
        xe.list("host", &FIELDS, &[], Host::read)
    }
}

/// The host that OpenNebula calls `name` and watches; after it was given another name, the one on which its client
/// runs. Nothing is changed there that a wrong name could do harm to.
pub fn called<'a>(xe: &Xe, hosts: &'a [Host], name: &str) -> Result<&'a Host> {
    named(hosts, name).or_else(|why| here(xe, hosts).ok_or(why))
}

/// The host on which this program runs, whatever it is called. None where drivers run elsewhere.
pub fn here<'a>(xe: &Xe, hosts: &'a [Host]) -> Option<&'a Host> {
    let uuid = installed(xe.inventory.as_deref()?)?;
    hosts.iter().find(|host| host.uuid == uuid)
}

/// The uuid that XAPI gave the host whose inventory this is (xapi inventory.ml `_installation_uuid`).
fn installed(inventory: &Path) -> Option<Uuid> {
    let text = fs::read_to_string(inventory).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("INSTALLATION_UUID="))?;
    line.trim_matches(['\'', '"']).parse().ok()
}

/// An IPv6 address as everybody but URLs writes it: `[fd00::a]` → `fd00::a`.
pub fn without_brackets(name: &str) -> &str {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.filter(|inner| inner.contains(':')).unwrap_or(name)
}

/// The host that goes by `name`: name-label, hostname (with or without its domain), address, or a name of its address.
pub fn named<'a>(hosts: &'a [Host], name: &str) -> Result<&'a Host> {
    let name = without_brackets(name);
    let tests: [fn(&Host, &str) -> bool; 4] = [
        |host, name| host.name_label == name,
        |host, name| host.hostname.eq_ignore_ascii_case(name),
        |host, name| is_address(&host.address, name),
        |host, name| first_label(&host.hostname).eq_ignore_ascii_case(first_label(name)),
    ];
    for test in tests {
        let found: Vec<&Host> = hosts.iter().filter(|host| !name.is_empty() && test(host, name)).collect();
        match found.as_slice() {
            [] => {}
            [host] => return Ok(host),
            several => bail!("{} hosts of the pool go by the name {name:?}", several.len()),
        }
    }
    let addresses: Vec<String> = addresses_of(name);
    if let Some(host) = hosts.iter().find(|host| addresses.contains(&host.address)) {
        return Ok(host);
    }
    let there: Vec<String> = hosts
        .iter()
        .map(|host| format!("{} ({}, {})", host.name_label, host.hostname, host.address))
        .collect();
    bail!("no host of the pool goes by the name {name:?}; it has {}", there.join(", "))
}

/// An IPv6 address can be written in several ways.
fn is_address(address: &str, name: &str) -> bool {
    let read = |text: &str| text.parse::<std::net::IpAddr>().ok();
    address == name || (read(name).is_some() && read(name) == read(address))
}

fn addresses_of(name: &str) -> Vec<String> {
    let found = (name, 0).to_socket_addrs().into_iter().flatten();
    found.filter(|_| !name.is_empty()).map(|address| address.ip().to_string()).collect()
}

/// `xcp-a.example.org` → `xcp-a`; an address stays whole.
fn first_label(name: &str) -> &str {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return name;
    }
    name.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> Host {
        Host {
            uuid: format!("00000000-0000-4000-8000-{number:012}").parse().unwrap(),
            name_label: format!("label-{number}"),
            hostname: format!("xcp-{number}.example.org"),
            address: format!("192.168.10.{number}"),
        }
    }

    #[test]
    fn a_host_goes_by_label_hostname_short_name_and_address() {
        let hosts = [host(1), host(2)];
        for name in ["label-2", "xcp-2.example.org", "xcp-2", "192.168.10.2", "XCP-2"] {
            assert_eq!(named(&hosts, name).unwrap().name_label, "label-2", "{name}");
        }
    }

    #[test]
    fn an_ipv6_address_is_known_in_brackets_and_however_it_is_written() {
        let six = Host { address: "fd00::a".to_owned(), ..host(6) };
        for name in ["fd00::a", "[fd00::a]", "FD00::000a", "[fd00:0:0::a]"] {
            assert_eq!(named(&[host(1), six.clone()], name).unwrap().name_label, "label-6", "{name}");
        }
        assert!(named(&[host(1), six], "[fd00::b]").is_err());
        for (name, bare) in [("[fd00::a]", "fd00::a"), ("fd00::a", "fd00::a"), ("[x]", "[x]"), ("", "")] {
            assert_eq!(without_brackets(name), bare);
        }
    }

    #[test]
    fn an_unknown_host_is_answered_with_those_there_are() {
        let error = named(&[host(1)], "192.168.99.1").unwrap_err().to_string();
        assert_eq!(
            error,
            "no host of the pool goes by the name \"192.168.99.1\"; it has label-1 (xcp-1.example.org, 192.168.10.1)"
        );
        assert!(named(&[host(1)], "").is_err());
    }
    #[test]
    fn a_name_of_its_address_is_a_name_of_the_host() {
        let here = Host { address: "127.0.0.1".to_owned(), ..host(3) };
        assert_eq!(named(&[host(1), here], "localhost").unwrap().name_label, "label-3");
    }
}
