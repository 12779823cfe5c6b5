//! Removes a network that the driver made, when no VM of the pool has a VIF on it any more.

use crate::report::{self, Result};
use crate::xe::network::{self, Network, REMOVING};
use crate::xe::vlan::{self, Vlans};
use crate::xe::{Uuid, Xe, xe_error};
use anyhow::Context;

/// Removes the network if it is ours and no VM has a VIF on it. True if it is gone.
///
/// Others may be about to put a VIF on it: it is marked first, so that who looks from then on makes a new one, and
/// looked at again right before its end. Whoever looked before is refused by XAPI, and undoes what it began.
pub fn if_unused(xe: &Xe, network: &Network, tag: Option<u32>) -> Result<bool> {
    if !network.is_made() || network::has_vifs(xe, &network.uuid)? {
        return Ok(false);
    }
    let removed = mark_and_remove(xe, &network.uuid, tag)
        .with_context(|| format!("cannot remove the network {} ({})", network.name_label, network.uuid));
    match removed {
        Ok(true) => {
            report::info(format!("removed the network {}: no VM has a NIC on it", network.name_label));
            Ok(true)
        }
        other => {
            // What VLANs are gone by now is made again by the next VM that wants one.
            _ = xe.undo(&network::forget(&network.uuid, REMOVING));
            other
        }
    }
}

fn mark_and_remove(xe: &Xe, network: &Uuid, tag: Option<u32>) -> Result<bool> {
    xe.run(&network::set(network).set(format!("other-config:{REMOVING}"), "yes"))?;
    if network::has_vifs(xe, network)? {
        return Ok(false);
    }
    if let Some(tag) = tag {
        for vlan in Vlans::look_up(xe, tag)?.of_network(network) {
            gone_or_done(xe.run(&vlan::destroy(&vlan.uuid)))?;
        }
    }
    if network::has_vifs(xe, network)? {
        return Ok(false);
    }
    gone_or_done(xe.run(&network::destroy(network)))?;
    Ok(true)
}

/// Another host's `clean` may be at the same.
fn gone_or_done(done: Result<String>) -> Result<()> {
    match done {
        Err(error) if xe_error(&error).is_some_and(crate::xe::XeError::is_gone) => Ok(()),
        other => other.map(drop),
    }
}
