//! XAPI's VLANs: each joins a physical network's PIF on a host with a network of its own, which VIFs are put on.

use super::network::Network;
use super::{Record, Uuid, Xe};
use crate::report::Result;
use anyhow::Context;

/// A PIF: a host's connection to a network.
struct Pif {
    uuid: Uuid,
    network: Uuid,
    /// `-1` where frames are not tagged.
    tag: String,
}

fn pif(record: &Record<'_>) -> Result<Pif> {
    Ok(Pif {
        uuid: record.get("uuid")?,
        network: record.get("network-uuid")?,
        tag: record.text("VLAN").to_owned(),
    })
}

/// The PIF with the tagged frames, and the one where a VLAN's frames come out without their tag.
fn ends(record: &Record<'_>) -> Result<(Uuid, Uuid)> {
    Ok((record.get("tagged-PIF")?, record.get("untagged-PIF")?))
}

/// The network that carries what is tagged with `tag` on `physical`; `physical` itself if it is that network.
pub fn network_on(xe: &Xe, physical: &Network, tag: u32) -> Result<Uuid> {
    let tag = tag.to_string();
    let pifs = xe.list("pif", &["uuid", "network-uuid", "VLAN"], &[], pif)?;
    if pifs.iter().any(|pif| pif.network == physical.uuid && pif.tag == tag) {
        return Ok(physical.uuid.clone());
    }
    let network = |uuid: &Uuid| pifs.iter().find(|pif| pif.uuid == *uuid).map(|pif| pif.network.clone());
    let on_physical = |(tagged, untagged): &(Uuid, Uuid)| {
        (network(tagged)? == physical.uuid).then(|| network(untagged)).flatten()
    };
    let vlans = xe.list("vlan", &["uuid", "tagged-PIF", "untagged-PIF"], &[("tag", &tag)], ends)?;
    vlans.iter().find_map(on_physical).with_context(|| {
        format!(
            "the pool has no VLAN {tag} on the network with bridge {}: make one (xe pool-vlan-create)",
            physical.bridge
        )
    })
}
