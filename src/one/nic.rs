//! A NIC of a VM's template.

use super::Element;
use crate::report::Result;

/// One NIC, typed.
#[derive(Clone, Debug)]
pub struct Nic {
    /// Where it stands in the document, for errors.
    pub path: String,
    pub nic_id: u32,
    /// What the network is on the host: a bridge, a network's name-label or its uuid.
    pub bridge: String,
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
    /// The addresses the guest may use, IPv4 and IPv6.
    pub ipv4: Vec<String>,
    pub ipv6: Vec<String>,
}

impl Nic {
    /// Reads a NIC.
    pub fn read(nic: &Element) -> Result<Nic> {
        let addresses = |names: &[&str]| {
            let given = names.iter().map(|name| nic.text(name).to_owned());
            given.filter(|address| !address.is_empty()).collect()
        };
        Ok(Nic {
            path: nic.path.clone(),
            nic_id: nic.need("NIC_ID")?,
            bridge: nic.text("BRIDGE").to_owned(),
            mac: nic.text("MAC").to_ascii_lowercase(),
            model: nic.text("MODEL").to_owned(),
            vlan_id: nic.get("VLAN_ID")?,
            order: nic.get("ORDER")?,
            inbound_avg_kbytes_s: nic.get("INBOUND_AVG_BW")?,
            outbound_avg_kbytes_s: nic.get("OUTBOUND_AVG_BW")?,
            filters_ip_spoofing: nic.is_yes("FILTER_IP_SPOOFING"),
            filters_mac_spoofing: nic.is_yes("FILTER_MAC_SPOOFING"),
            ipv4: addresses(&["IP"]),
            ipv6: addresses(&["IP6_LINK", "IP6_ULA", "IP6_GLOBAL", "IP6"]),
        })
    }
}
