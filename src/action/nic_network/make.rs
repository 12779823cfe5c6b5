//! Makes networks. XAPI lets two networks not have the same bridge, nor a PIF two VLANs of the same tag: of several
//! callers on several hosts that want the same VLAN one makes it, and the others find it.

use crate::one::Nic;
use crate::report::{self, Result};
use crate::undo::Undo;
use crate::xe::network::{self, MADE, Network};
use crate::xe::vlan::{self, Vlans};
use crate::xe::{Uuid, Xe, failed_with};
use anyhow::{Context, bail};
use std::thread;
use std::time::Duration;

/// How often another caller's work is looked at, and how long is waited for its end.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: usize = 40;

/// What the one that comes second is refused with (xapi_network.ml `create`, xapi_vlan.ml `create`,
/// xapi_pif.ml `assert_no_other_local_pifs`).
const MADE_BY_ANOTHER: [&str; 3] = ["BRIDGE_NAME_EXISTS", "PIF_VLAN_EXISTS", "NETWORK_ALREADY_CONNECTED"];

/// The bridge of a VLAN's network: the same for all who want this VLAN, and at most 15 characters.
pub fn bridge_of(physical: &Uuid, tag: u32) -> String {
    let short: String = physical.to_string().chars().filter(char::is_ascii_hexdigit).take(6).collect();
    format!("one{short}-{tag}")
}

/// Whether the bridge is one that [`bridge_of`] gives VLANs of this tag.
pub fn is_bridge_of(bridge: &str, tag: u32) -> bool {
    let parts = bridge.strip_prefix("one").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(_, end)| end == tag.to_string())
}

/// The network for the tag on the physical network, with its VLAN on every host that is up.
pub fn vlan(xe: &Xe, physical: &Network, tag: u32, mtu: Option<u32>) -> Result<Uuid> {
    let bridge = bridge_of(&physical.uuid, tag);
    let name = format!("one-{}.{tag}", physical.bridge);
    for look in 0..LOOKS {
        if look > 0 {
            xe.stop.check()?;
            thread::sleep(LOOK);
        }
        let networks = Network::all(xe)?;
        let there = Vlans::look_up(xe, tag)?;
        let target = there.on(&physical.uuid);
        let ours = networks.iter().find(|network| network.bridge == bridge);
        if ours.is_some_and(Network::is_being_removed) {
            continue;
        }
        let undo = Undo::new(xe);
        let network = match (target, ours) {
            (Some(network), _) => network,
            (None, Some(ours)) => ours.uuid.clone(),
            (None, None) => match new(xe, &undo, &name, &bridge, mtu) {
                Err(error) if failed_with(&error, &MADE_BY_ANOTHER) => continue,
                other => other?,
            },
        };
        // It may be the work of one that was killed before it could mark it.
        if ours.is_some_and(|ours| ours.uuid == network && !ours.is_made()) {
            xe.run(&network::set(&network).set(format!("other-config:{MADE}"), "vlan"))?;
        }
        match connect(xe, &there, physical, tag, &network) {
            Err(error) if failed_with(&error, &MADE_BY_ANOTHER) => continue,
            other => other?,
        }
        undo.keep();
        return Ok(network);
    }
    bail!("another caller has not finished VLAN {tag} on {} within {} s", physical.bridge, LOOKS / 2)
}

fn new(xe: &Xe, undo: &Undo<'_>, name: &str, bridge: &str, mtu: Option<u32>) -> Result<Uuid> {
    let made: Uuid = xe.ask(&network::create(name, bridge, mtu)).context("cannot make the network")?;
    undo.by(network::destroy(&made));
    let kind = if name.starts_with("one-") { "vlan" } else { "private" };
    xe.run(&network::set(&made).set(format!("other-config:{MADE}"), kind))?;
    report::info(format!("made the network {name} ({made})"));
    Ok(made)
}

/// A host that is down has no VLAN, and gets it when it is back and a VM comes.
fn connect(xe: &Xe, there: &Vlans, physical: &Network, tag: u32, network: &Uuid) -> Result<()> {
    let lacking = there.lacking(&physical.uuid);
    let what = || format!("cannot make VLAN {tag} on {}", physical.bridge);
    if there.of_network(network).is_empty() {
        let Some(first) = lacking.first() else {
            bail!("the network {} has no PIF: no host of the pool is connected to it", physical.bridge)
        };
        return xe.run(&vlan::create_on_pool(&first.uuid, tag, network)).map(drop).with_context(what);
    }
    for pif in lacking {
        match xe.run(&vlan::create(&pif.uuid, tag, network)) {
            Err(error) if failed_with(&error, &["HOST_OFFLINE"]) => {}
            other => other.map(drop).with_context(what)?,
        }
    }
    Ok(())
}

/// A network without a PIF: of one host at a time (xapi_network_attach_helpers.ml `assert_can_see_named_networks`).
pub fn private(xe: &Xe, nic: &Nic) -> Result<Uuid> {
    let undo = Undo::new(xe);
    let made = match new(xe, &undo, &nic.bridge, &nic.bridge, nic.mtu) {
        Err(error) if failed_with(&error, &MADE_BY_ANOTHER) => {
            let networks = Network::all(xe)?;
            return network::named(&networks, &nic.bridge).map(|network| network.uuid.clone());
        }
        other => other?,
    };
    undo.keep();
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::{bridge_of, is_bridge_of};

    #[test]
    fn the_bridge_of_a_vlan_fits_a_linux_interface_and_no_name_that_xapi_keeps_for_itself() {
        let physical = "abcdef01-0000-4000-8000-000000000001".parse().unwrap();
        let name = bridge_of(&physical, 4094);
        assert_eq!(name, "oneabcdef-4094");
        assert!(name.len() <= 15);
        assert!(is_bridge_of(&name, 4094) && !is_bridge_of(&name, 94) && !is_bridge_of("onebr4094", 4094));
    }
}
