//! Networks that the network driver made and on which no VM of the pool has a NIC any more.

use super::End;
use crate::action::nic_network;
use crate::admin::text;
use crate::report;
use crate::xe::network::{self, Network};
use crate::xe::{Uuid, Xe};
use std::collections::HashSet;

const KIND: &str = "network";
const WHY: &str = "no VM of the pool has a NIC on it";

/// All of them. One that a VM is about to get a NIC on may be among them: its deployment makes it again.
pub fn leftovers(xe: &Xe) -> report::Result<Vec<Network>> {
    let mut made: Vec<Network> = Network::all(xe)?;
    made.retain(Network::is_made);
    if made.is_empty() {
        return Ok(made);
    }
    let used: HashSet<Uuid> = network::with_vifs(xe)?.into_iter().collect();
    made.retain(|network| !used.contains(&network.uuid));
    Ok(made)
}

/// What becomes of it.
pub fn settle(xe: &Xe, yes: bool, network: &Network) -> End {
    if !yes {
        return End::WouldBeRemoved;
    }
    match nic_network::remove_if_unused(xe, network, nic_network::tag_of(network)) {
        Ok(true) => End::Removed,
        Ok(false) => End::Kept("a VM has a NIC on it now".to_owned()),
        Err(why) => End::failed(&why),
    }
}

/// A line for people, or JSON.
pub fn show(network: &Network, end: &End, json: bool) -> String {
    let (word, more) = end.words();
    if json {
        return text::object(&[
            ("is", text::string(word)),
            ("kind", text::string(KIND)),
            ("uuid", text::string(&network.uuid.to_string())),
            ("why", text::string(WHY)),
            ("more", text::string(more)),
        ]);
    }
    let more = if more.is_empty() { String::new() } else { format!("; {more}") };
    format!("{word:<8} {KIND} {} ({}): {WHY}{more}", network.uuid, network.name_label)
}
