//! The networks, and the hosts' PIFs on them.

use super::Making;
use crate::sim::row::{Class, Row};

impl Making<'_> {
    pub(super) fn networks(&mut self) {
        for number in 0..2 {
            let mut network =
                self.row(Class::Network, &format!("Pool-wide network associated with eth{number}"));
            network.set("bridge", format!("xenbr{number}"));
            for (at, host) in (1..).zip(self.hosts.clone()) {
                let mut pif = Row::new(Class::Pif, self.pool.new_uuid());
                pif.set("device", format!("eth{number}"));
                pif.set("MAC", format!("0c:c4:7a:00:{number:02x}:{at:02x}"));
                pif.set("network-uuid", network.uuid.to_string());
                pif.set("host-uuid", host);
                pif.set("pci-bus-path", format!("0000:0{}:00.{number}", number + 3));
                if number == 0 {
                    pif.set("management", "true");
                    pif.set("IP-configuration-mode", "Static");
                    pif.set("IP", format!("192.168.10.{at}"));
                    pif.set("netmask", "255.255.255.0");
                    pif.set("gateway", "192.168.10.254");
                    pif.set("DNS", "192.168.10.254");
                }
                self.pool.insert(pif);
            }
            self.pool.insert(network);
        }
        let mut internal = self.row(Class::Network, "Host internal management network");
        internal.set("bridge", "xenapi");
        internal.set(
            "name-description",
            "Network on which guests will be assigned a private link-local IP address",
        );
        internal.put("other-config", "is_host_internal_management_network", "true");
        self.pool.insert(internal);
    }
}
