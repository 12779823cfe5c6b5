//! XAPI hosts.

use super::{Record, Uuid, Xe};
use crate::report::Result;
use anyhow::bail;

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

/// The host that goes by `name`: name-label, hostname (with or without its domain) or address.
pub fn named<'a>(hosts: &'a [Host], name: &str) -> Result<&'a Host> {
    let tests: [fn(&Host, &str) -> bool; 4] = [
        |host, name| host.name_label == name,
        |host, name| host.hostname.eq_ignore_ascii_case(name),
        |host, name| host.address == name,
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
    let there: Vec<String> = hosts
        .iter()
        .map(|host| format!("{} ({}, {})", host.name_label, host.hostname, host.address))
        .collect();
    bail!("no host of the pool goes by the name {name:?}; it has {}", there.join(", "))
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
    fn an_unknown_host_is_answered_with_those_there_are() {
        let error = named(&[host(1)], "192.168.99.1").unwrap_err().to_string();
        assert_eq!(
            error,
            "no host of the pool goes by the name \"192.168.99.1\"; it has label-1 (xcp-1.example.org, 192.168.10.1)"
        );
        assert!(named(&[host(1)], "").is_err());
    }
}
