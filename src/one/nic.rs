//! A NIC of a VM's template.

use super::Element;
use crate::report::Result;

/// One NIC, typed.
#[derive(Clone, Debug)]
pub struct Nic {
    /// Where it stands in the document, for errors.
    pub path: String,
    pub nic_id: u32,
    /// The virtual network's driver (VN_MAD).
    pub vn_mad: String,
    /// What the network is on the host: a bridge, a network's name-label or its uuid.
    pub bridge: String,
    /// The physical network that a VLAN is on (PHYDEV): a PIF's device, or a network's bridge, name-label or uuid.
    pub phydev: String,
    /// OpenNebula's number of the virtual network.
    pub network_id: Option<u32>,
    /// The numbers of the security groups it belongs to.
    pub security_groups: Vec<String>,
    /// In bytes; none is the network's own.
    pub mtu: Option<u32>,
    /// Empty: XAPI makes one up.
    pub mac: String,
    pub model: String,
    pub vlan_id: Option<u32>,
    /// Position in the boot order (ORDER), from 1.
    pub order: Option<u32>,
    /// KB/s from the network to the guest, and from the guest to the network.
    pub inbound_avg_kbytes_s: Option<u64>,
    pub outbound_avg_kbytes_s: Option<u64>,
    pub filters_ip_spoofing: bool,
    pub filters_mac_spoofing: bool,
    /// The addresses the guest may use, IPv4 and IPv6, those of its aliases among them.
    pub ipv4: Vec<String>,
    pub ipv6: Vec<String>,
}

impl Nic {
    /// Reads a NIC.
    pub fn read(nic: &Element) -> Result<Nic> {
        Ok(Nic {
            path: nic.path(),
            nic_id: nic.need("NIC_ID")?,
            vn_mad: nic.text("VN_MAD").to_owned(),
            bridge: nic.text("BRIDGE").to_owned(),
            phydev: nic.text("PHYDEV").to_owned(),
            network_id: nic.get("NETWORK_ID")?,
            security_groups: numbers(nic.text("SECURITY_GROUPS")),
            mtu: nic.get("MTU")?,
            mac: nic.text("MAC").to_ascii_lowercase(),
            model: nic.text("MODEL").to_owned(),
            vlan_id: nic.get("VLAN_ID")?,
            order: nic.get("ORDER")?,
            inbound_avg_kbytes_s: nic.get("INBOUND_AVG_BW")?,
            outbound_avg_kbytes_s: nic.get("OUTBOUND_AVG_BW")?,
            filters_ip_spoofing: nic.is_yes("FILTER_IP_SPOOFING"),
            filters_mac_spoofing: nic.is_yes("FILTER_MAC_SPOOFING"),
            ipv4: addresses(nic, &IPV4),
            ipv6: addresses(nic, &IPV6),
        })
    }

    /// The NICs of a template. A NIC_ALIAS is no device, but more addresses for the guest on its parent's.
    pub fn all(template: &Element) -> Result<Vec<Nic>> {
        let mut nics: Vec<Nic> = template.all("NIC").map(Nic::read).collect::<Result<_>>()?;
        for alias in template.all(ALIAS) {
            let parent_id: Option<u32> = alias.get("PARENT_ID")?;
            if let Some(parent) = nics.iter_mut().find(|nic| Some(nic.nic_id) == parent_id) {
                parent.ipv4.extend(alias_addresses(alias, &IPV4));
                parent.ipv6.extend(alias_addresses(alias, &IPV6));
            }
        }
        Ok(nics)
    }

    /// Whether the network driver `xcp` is in charge of it.
    pub fn is_of_xcp(&self) -> bool {
        self.vn_mad == XCP
    }

    /// The same of a NIC's element, or of a PCI device that is a NIC.
    pub fn is_element_of_xcp(element: &Element) -> bool {
        element.text("VN_MAD") == XCP
    }

    /// Without the addresses of one of its aliases.
    #[must_use]
    pub fn without(mut self, alias: &Element) -> Nic {
        let (ipv4, ipv6) = (alias_addresses(alias, &IPV4), alias_addresses(alias, &IPV6));
        self.ipv4.retain(|address| !ipv4.contains(address));
        self.ipv6.retain(|address| !ipv6.contains(address));
        self
    }
}

/// Our network driver's name (VN_MAD).
pub const XCP: &str = "xcp";

/// The element of an alias.
pub const ALIAS: &str = "NIC_ALIAS";

/// Not those that virtual routers share (VROUTER_IP): oned lets everybody write them into a template.
const IPV4: [&str; 1] = ["IP"];
const IPV6: [&str; 4] = ["IP6_LINK", "IP6_ULA", "IP6_GLOBAL", "IP6"];

fn numbers(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|number| !number.is_empty()).map(str::to_owned).collect()
}

fn addresses(nic: &Element, names: &[&str]) -> Vec<String> {
    let given = names.iter().map(|name| nic.text(name).to_owned());
    given.filter(|address| !address.is_empty()).collect()
}

/// The guest does not know the addresses of an EXTERNAL alias: the network translates them.
fn alias_addresses(alias: &Element, names: &[&str]) -> Vec<String> {
    if alias.is_yes("EXTERNAL") { Vec::new() } else { addresses(alias, names) }
}
