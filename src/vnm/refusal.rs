//! What a virtual network can ask for and XAPI does not have.

use crate::one::{Element, Nic, security_group};
use crate::report::Result;
use anyhow::ensure;

const REFUSED: [(&str, &str); 8] = [
    ("CVLANS", "XAPI has no VLANs within VLANs (QinQ)"),
    ("QINQ_TYPE", "XAPI has no VLANs within VLANs (QinQ)"),
    ("VLAN_TAGGED_ID", "XAPI gives a NIC the frames of one VLAN, without their tags"),
    ("OUTER_VLAN_ID", "XAPI has no VXLAN but with a network controller"),
    ("VXLAN_MODE", "XAPI has no VXLAN but with a network controller"),
    ("VXLAN_TEP", "XAPI has no VXLAN but with a network controller"),
    ("VXLAN_MC", "XAPI has no VXLAN but with a network controller"),
    ("IP_LINK_CONF", "XAPI makes the links of VLANs itself"),
];

/// An error that names the first attribute of a NIC or a virtual network that cannot be honoured.
pub fn check(of: &Element) -> Result<()> {
    for (name, why) in REFUSED {
        ensure!(of.text(name).is_empty(), "{}/{name}: {why}", of.path());
    }
    Ok(())
}

/// An error for a network device that is passed through (PCI with a network) and is to have a VLAN or a filter: what it
/// sends and gets does not go through the host's switch.
pub fn check_passed_through(template: &Element) -> Result<()> {
    for device in template.all("PCI").filter(|device| Nic::is_element_of_xcp(device)) {
        let nic = Nic::read(device)?;
        let rules = security_group::rules_of(template, &nic)?;
        let is_plain = nic.vlan_id.is_none()
            && !nic.filters_ip_spoofing
            && !nic.filters_mac_spoofing
            && security_group::is_open(&rules, &nic);
        ensure!(
            is_plain,
            "{} {}: a device that is passed through has no VLAN, security group or filter: it does not go through the host's \
             switch",
            device.path(),
            nic.nic_id
        );
    }
    Ok(())
}
