//! GRAPHICS of a VM's template: where its console is to listen, and for whom.

use super::{Console, Key, MARK, Mark, Relay};
use crate::one::{Conf, Vm};
use crate::report::{self, Result};
use crate::xe::Uuid;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A console that the template asks for.
pub struct Graphics {
    vm_id: u32,
    host: String,
    mark: Mark,
    password: Option<String>,
}

impl Graphics {
    /// None without GRAPHICS of TYPE=VNC and a PORT, which oned chooses, or with CONSOLE=no. What cannot be honoured
    /// is said in the VM's log.
    pub fn of(vm: &Vm, conf: &Conf, host: &str) -> Result<Option<Graphics>> {
        let section = vm.section("GRAPHICS");
        let port = section.get::<u16>("PORT").unwrap_or_else(|why| {
            report::warn(format!("{why:#}: the VM gets no console"));
            None
        });
        let Some(port) = port.filter(|port| *port > 0) else { return Ok(None) };
        if !section.text("TYPE").eq_ignore_ascii_case("VNC") || !wanted(conf)? {
            return Ok(None);
        }
        let password = Some(section.text("PASSWD").to_owned()).filter(|password| !password.is_empty());
        if password.is_none() && section.is_yes("RANDOM_PASSWD") {
            report::warn("GRAPHICS has RANDOM_PASSWD and no PASSWD came with it: the VM gets no console");
            return Ok(None);
        }
        if password.as_ref().is_some_and(|password| password.chars().any(char::is_control)) {
            report::warn("GRAPHICS/PASSWD holds what no viewer can type: the VM gets no console");
            return Ok(None);
        }
        let listen = SocketAddr::new(address(section.text("LISTEN")), port);
        let key = Key::of(conf);
        let seal = password.as_deref().map(|password| key.seal(vm.vm_id, password));
        Ok(Some(Graphics { vm_id: vm.vm_id, host: host.to_owned(), mark: Mark::new(listen, seal), password }))
    }

    /// What makes it known to the monitoring clients, as `vm-param-set` takes it.
    pub fn param(&self) -> (String, String) {
        (format!("other-config:{MARK}"), self.mark.to_string())
    }

    /// Whether a relay stands in the way, if its VM has ended: one of an earlier record of the VM, or one that has the
    /// port on this host.
    pub fn is_hindered_by(&self, relay: &Relay) -> bool {
        let has_port = relay.mark.listen.port() == self.mark.listen.port();
        relay.vm_id == self.vm_id || relay.host == self.host && has_port
    }

    /// The console, now that the VM has a uuid.
    pub fn of_vm(self, uuid: &Uuid) -> Console {
        Console {
            vm_id: self.vm_id,
            vm: uuid.clone(),
            host: self.host,
            mark: self.mark,
            password: self.password,
        }
    }
}

/// Whether the administrator wants consoles at all.
pub fn wanted(conf: &Conf) -> Result<bool> {
    Ok(conf.one_of("CONSOLE", &["yes", "no"])? == "yes")
}

/// LISTEN; OpenNebula's own default is this machine alone.
fn address(listen: &str) -> IpAddr {
    match listen.parse() {
        Ok(address) => address,
        Err(_) if listen.is_empty() || listen == "localhost" => Ipv4Addr::LOCALHOST.into(),
        Err(_) => {
            report::warn(format!("GRAPHICS/LISTEN {listen:?} is no address: 127.0.0.1 is taken"));
            Ipv4Addr::LOCALHOST.into()
        }
    }
}
