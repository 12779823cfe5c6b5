//! The XAPI network of a NIC. Virtual networks of the driver `xcp` say with PHYDEV and VLAN_ID what it is, and it is
//! made where the pool has none; those of other drivers name one that is there.

mod make;
mod remove;

pub use remove::if_unused as remove_if_unused;

use crate::one::Nic;
use crate::report::Result;
use crate::xe::network::{self, Missing, Network};
use crate::xe::vlan::{self, Vlans};
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail, ensure};
use std::ops::RangeInclusive;

/// What to say of a PHYDEV without a VLAN_ID.
pub const PHYDEV_ALONE: &str =
    "without a VLAN_ID name the network by BRIDGE (its bridge, name-label or uuid)";

/// The network of the NIC, made if need be.
pub fn of(xe: &Xe, networks: &[Network], nic: &Nic) -> Result<Uuid> {
    if !nic.is_of_xcp() {
        return of_bridge(xe, networks, nic);
    }
    if let Some(tag) = nic.vlan_id {
        ensure!(
            vlan::TAGS.contains(&tag),
            "{}/VLAN_ID is {tag}: a VLAN has a number from {} to {}",
            nic.path,
            vlan::TAGS.start(),
            vlan::TAGS.end()
        );
    }
    if let Some(mtu) = nic.mtu {
        ensure!(
            MTUS.contains(&mtu),
            "{}/MTU is {mtu}: a network has one from {} to {}",
            nic.path,
            MTUS.start(),
            MTUS.end()
        );
    }
    match of_bridge(xe, networks, nic) {
        Err(why) if why.downcast_ref::<Missing>().is_none() => Err(why),
        Err(_) if !nic.phydev.is_empty() => of_phydev(xe, networks, nic),
        Err(_) if is_private(nic) => make::private(xe, nic).with_context(|| format!("{}/BRIDGE", nic.path)),
        other => other,
    }
}

/// From what IPv6 needs to what switches call jumbo frames: whoever comes first decides for all on the network.
const MTUS: RangeInclusive<u32> = 1280..=9216;

/// BRIDGE names it; of a NIC with a VLAN_ID it is the one that carries this VLAN on what BRIDGE names.
fn of_bridge(xe: &Xe, networks: &[Network], nic: &Nic) -> Result<Uuid> {
    let named = network::named(networks, &nic.bridge).with_context(|| format!("{}/BRIDGE", nic.path))?;
    let Some(tag) = nic.vlan_id else { return Ok(named.uuid.clone()) };
    match vlan::network_on(xe, named, tag) {
        Err(why) if why.downcast_ref::<Missing>().is_some() && nic.is_of_xcp() => {
            let there = Vlans::look_up(xe, tag)?;
            let physical = vlan::physical(networks, &there.pifs, &nic.bridge)?;
            make::vlan(xe, physical, tag, nic.mtu)
        }
        other => other,
    }
    .with_context(|| format!("{}/VLAN_ID", nic.path))
}

/// PHYDEV with VLAN_ID. That of a virtual network without one may be a tenant's: oned.conf restricts BRIDGE and VLAN_ID of
/// a NIC, which the virtual network always decides, but not PHYDEV. So it says nothing alone, nor where BRIDGE names
/// what is there.
fn of_phydev(xe: &Xe, networks: &[Network], nic: &Nic) -> Result<Uuid> {
    let Some(tag) = nic.vlan_id else { bail!("{}/PHYDEV: {PHYDEV_ALONE}", nic.path) };
    let there = Vlans::look_up(xe, tag)?;
    let physical =
        vlan::physical(networks, &there.pifs, &nic.phydev).with_context(|| format!("{}/PHYDEV", nic.path))?;
    let found = there.on(&physical.uuid).filter(|_| there.lacking(&physical.uuid).is_empty());
    let is_going =
        |uuid: &Uuid| networks.iter().any(|network| network.uuid == *uuid && network.is_being_removed());
    match found.filter(|uuid| !is_going(uuid)) {
        Some(uuid) => Ok(uuid),
        None => make::vlan(xe, physical, tag, nic.mtu).with_context(|| format!("{}/VLAN_ID", nic.path)),
    }
}

/// A virtual network that names nothing at all is an internal one: OpenNebula makes up its BRIDGE
/// (VirtualNetwork.cc `insert`: `onebr` and the network's number).
pub fn is_private(nic: &Nic) -> bool {
    let made_up = nic.network_id.map(|id| format!("onebr{id}"));
    nic.is_of_xcp()
        && nic.vlan_id.is_none()
        && nic.phydev.is_empty()
        && made_up.as_deref() == Some(&nic.bridge)
}

/// Whether the network driver makes the NIC's network where the pool has none.
pub fn is_on_demand(nic: &Nic) -> bool {
    nic.is_of_xcp() && (nic.vlan_id.is_some() || is_private(nic))
}

/// Whether the network is one that was made for NICs like this.
pub fn is_made_for(network: &Network, nic: &Nic) -> bool {
    match nic.vlan_id {
        Some(tag) => make::is_bridge_of(&network.bridge, tag),
        None => is_private(nic) && network.bridge == nic.bridge,
    }
}

/// The VLAN that a network was made for.
pub fn tag_of(network: &Network) -> Option<u32> {
    vlan::TAGS.into_iter().find(|tag| make::is_bridge_of(&network.bridge, *tag))
}
