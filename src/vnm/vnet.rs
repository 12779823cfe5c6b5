//! `vnet_create`: on the front-end, when a virtual network is made. Its XAPI network is made by the first VM that needs
//! it; what cannot be is refused here, where the network's owner sees it.

use super::refusal;
use crate::action::nic_network;
use crate::one::{Element, input};
use crate::report::Result;
use crate::xe::vlan::TAGS;
use anyhow::ensure;
use std::io::stdin;

/// Checks the `<VNET>` on standard input.
pub fn create() -> Result<()> {
    const WHAT: &str = "the virtual network on standard input";
    let root = Element::parse(WHAT, &input::read(WHAT, stdin().lock())?)?;
    check(if root.name() == "VNET" { &root } else { root.child("VNET")? })
}

fn check(vnet: &Element) -> Result<()> {
    let parts = || std::iter::once(vnet).chain(vnet.all("TEMPLATE"));
    for part in parts() {
        refusal::check(part)?;
        let vlan_id: Option<u32> = part.get("VLAN_ID")?;
        if let Some(tag) = vlan_id {
            ensure!(
                TAGS.contains(&tag),
                "{}/VLAN_ID is {tag}: a VLAN has a number from 1 to 4094",
                part.path()
            );
        }
        let automatic = ["VLAN_ID_AUTOMATIC", "AUTOMATIC_VLAN_ID"];
        let is_asked = automatic.iter().any(|name| part.text(name) == "1" || part.is_yes(name));
        ensure!(
            !is_asked || vlan_id.is_some(),
            "{}/AUTOMATIC_VLAN_ID: OpenNebula gives numbers only to networks of its own drivers; set VLAN_ID",
            part.path()
        );
    }
    let has = |name: &str| parts().any(|part| !part.text(name).is_empty());
    ensure!(!has("PHYDEV") || has("VLAN_ID"), "VNET/PHYDEV: {}", nic_network::PHYDEV_ALONE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(fields: &str) -> Result<()> {
        check(&Element::parse("the network", &format!("<VNET>{fields}</VNET>")).unwrap())
    }

    #[test]
    fn what_xapi_has_not_is_refused_in_plain_words() {
        for fine in ["", "<VLAN_ID>50</VLAN_ID><VLAN_ID_AUTOMATIC>0</VLAN_ID_AUTOMATIC>", "<TEMPLATE/>"] {
            checked(fine).unwrap();
        }
        for (asked, why) in [
            ("<VLAN_ID>4095</VLAN_ID>", "VNET/VLAN_ID is 4095: a VLAN has a number from 1 to 4094"),
            (
                "<TEMPLATE><CVLANS>1-3</CVLANS></TEMPLATE>",
                "VNET/TEMPLATE/CVLANS: XAPI has no VLANs within VLANs (QinQ)",
            ),
            (
                "<OUTER_VLAN_ID>7</OUTER_VLAN_ID>",
                "VNET/OUTER_VLAN_ID: XAPI has no VXLAN but with a network controller",
            ),
            (
                "<PHYDEV>eth0</PHYDEV><VLAN_ID/>",
                "VNET/PHYDEV: without a VLAN_ID name the network by BRIDGE (its bridge, name-label or uuid)",
            ),
            (
                "<VLAN_ID/><VLAN_ID_AUTOMATIC>1</VLAN_ID_AUTOMATIC>",
                "VNET/AUTOMATIC_VLAN_ID: OpenNebula gives numbers only to networks of its own drivers; set VLAN_ID",
            ),
        ] {
            assert_eq!(checked(asked).unwrap_err().to_string(), why);
        }
    }
}
