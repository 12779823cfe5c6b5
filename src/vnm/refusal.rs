//! What a virtual network can ask for and XAPI does not have.

use crate::one::Element;
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
