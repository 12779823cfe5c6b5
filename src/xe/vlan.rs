//! XAPI's VLANs: each joins a physical network's PIF on a host with a network of its own, which VIFs are put on.

use super::network::{self, Missing, Network};
use super::{Call, Record, Uuid, Xe, call};
use crate::parallel;
use crate::report::Result;
use anyhow::{bail, ensure};
use std::collections::BTreeSet;

/// What VLAN tags there are (IEEE 802.1Q; 0 and 4095 mean something else).
pub const TAGS: std::ops::RangeInclusive<u32> = 1..=4094;

/// A PIF: a host's connection to a network.
#[derive(Clone, Debug)]
pub struct Pif {
    pub uuid: Uuid,
    pub network: Uuid,
    device: String,
    /// `-1` where frames are not tagged.
    tag: String,
    is_bond_slave: bool,
}

fn pif(record: &Record<'_>) -> Result<Pif> {
    Ok(Pif {
        uuid: record.get("uuid")?,
        network: record.get("network-uuid")?,
        device: record.text("device").to_owned(),
        tag: record.text("VLAN").to_owned(),
        is_bond_slave: !record.text("bond-slave-of").is_empty(),
    })
}

/// A VLAN on one host.
#[derive(Clone, Debug)]
pub struct Vlan {
    pub uuid: Uuid,
    /// The PIF with the tagged frames, and the one where they come out without their tag.
    tagged: Uuid,
    untagged: Uuid,
}

fn vlan(record: &Record<'_>) -> Result<Vlan> {
    Ok(Vlan {
        uuid: record.get("uuid")?,
        tagged: record.get("tagged-PIF")?,
        untagged: record.get("untagged-PIF")?,
    })
}

/// Every PIF of the pool.
pub fn pifs(xe: &Xe) -> Result<Vec<Pif>> {
    xe.list("pif", &["uuid", "network-uuid", "device", "VLAN", "bond-slave-of"], &[], pif)
}

/// The PIFs of the pool, and those of its VLANs that have this tag.
pub struct Vlans {
    pub pifs: Vec<Pif>,
    pub vlans: Vec<Vlan>,
}

impl Vlans {
    /// Asks for both side by side.
    pub fn look_up(xe: &Xe, tag: u32) -> Result<Vlans> {
        let tag = tag.to_string();
        let of_tag = [("tag", tag.as_str())];
        let (pifs, vlans) = parallel::both(
            || pifs(xe),
            || xe.list("vlan", &["uuid", "tagged-PIF", "untagged-PIF"], &of_tag, vlan),
        );
        Ok(Vlans { pifs: pifs?, vlans: vlans? })
    }

    fn network_of(&self, pif: &Uuid) -> Option<&Uuid> {
        self.pifs.iter().find(|there| there.uuid == *pif).map(|there| &there.network)
    }

    /// The network that carries the tag on `physical`.
    pub fn on(&self, physical: &Uuid) -> Option<Uuid> {
        let of = |vlan: &&Vlan| self.network_of(&vlan.tagged) == Some(physical);
        self.vlans.iter().filter(of).find_map(|vlan| self.network_of(&vlan.untagged)).cloned()
    }

    /// The PIFs of `physical` on which the tag has no VLAN yet.
    pub fn lacking(&self, physical: &Uuid) -> Vec<&Pif> {
        let has = |pif: &Pif| self.vlans.iter().any(|vlan| vlan.tagged == pif.uuid);
        self.pifs.iter().filter(|pif| pif.network == *physical && !has(pif)).collect()
    }

    /// The VLANs whose frames come out on `network`.
    pub fn of_network(&self, network: &Uuid) -> Vec<&Vlan> {
        self.vlans.iter().filter(|vlan| self.network_of(&vlan.untagged) == Some(network)).collect()
    }
}

/// The physical network that a PIF's device, or the network's bridge, name-label or uuid names.
pub fn physical<'a>(networks: &'a [Network], pifs: &[Pif], name: &str) -> Result<&'a Network> {
    let of_device: Vec<&Pif> = pifs.iter().filter(|pif| pif.device == name && pif.tag == "-1").collect();
    ensure!(
        !of_device.iter().any(|pif| pif.is_bond_slave),
        "{name} is part of a bond, which takes no VLANs of its own: name the bond"
    );
    let uuids: BTreeSet<&Uuid> = of_device.iter().map(|pif| &pif.network).collect();
    let found: Vec<&Network> = networks.iter().filter(|network| uuids.contains(&network.uuid)).collect();
    match found.as_slice() {
        [network] => Ok(network),
        [] => named(networks, pifs, name),
        several => {
            let bridges: Vec<&str> = several.iter().map(|network| network.bridge.as_str()).collect();
            bail!("{name} is on several networks of the pool: name one of them ({})", bridges.join(", "))
        }
    }
}

fn named<'a>(networks: &'a [Network], pifs: &[Pif], name: &str) -> Result<&'a Network> {
    let Ok(network) = network::named(networks, name) else {
        let mut devices: Vec<&str> =
            pifs.iter().filter(|pif| pif.tag == "-1").map(|pif| pif.device.as_str()).collect();
        devices.sort_unstable();
        devices.dedup();
        bail!(
            "the pool has neither a PIF with the device {name:?} nor a network of this bridge, name or uuid; its PIFs are {}",
            devices.join(", ")
        )
    };
    let is_physical = pifs.iter().any(|pif| pif.network == network.uuid && pif.tag == "-1");
    ensure!(
        is_physical,
        "the network {name:?} is itself a VLAN, or has no PIF: VLANs need one that is physical"
    );
    Ok(network)
}

/// The network that carries what is tagged with `tag` on `physical`; `physical` itself if it is that network. An error
/// with [`Missing`] where there is none.
pub fn network_on(xe: &Xe, physical: &Network, tag: u32) -> Result<Uuid> {
    let there = Vlans::look_up(xe, tag)?;
    let tag_text = tag.to_string();
    if there.pifs.iter().any(|pif| pif.network == physical.uuid && pif.tag == tag_text) {
        return Ok(physical.uuid.clone());
    }
    there.on(&physical.uuid).ok_or_else(|| missing(physical, tag))
}

/// What to say where nobody has made the VLAN.
pub fn missing(physical: &Network, tag: u32) -> anyhow::Error {
    anyhow::anyhow!(Missing(format!(
        "the pool has no VLAN {tag} on the network with bridge {}: make one (xe pool-vlan-create)",
        physical.bridge
    )))
}

/// Makes the VLAN on every host that is up: on all PIFs of this one's network (xapi_pool.ml `create_VLAN_from_PIF`).
pub fn create_on_pool(pif: &Uuid, tag: u32, network: &Uuid) -> Call {
    call("pool-vlan-create").set("pif-uuid", pif).set("vlan", tag).set("network-uuid", network)
}

/// Makes the VLAN on one host.
pub fn create(pif: &Uuid, tag: u32, network: &Uuid) -> Call {
    call("vlan-create").set("pif-uuid", pif).set("vlan", tag).set("network-uuid", network)
}

/// Removes the VLAN on one host.
pub fn destroy(uuid: &Uuid) -> Call {
    call("vlan-destroy").set("uuid", uuid)
}
