//! Networks: on which hosts they are, and whether their names tell them apart.

use super::finding::Finding;
use super::hosts::Member;
use super::some;
use crate::parallel;
use crate::report::Result;
use crate::xe::network::Network;
use crate::xe::{Uuid, Xe};
use std::collections::HashMap;

const SUBJECT: &str = "networks";

struct Pif {
    uuid: Uuid,
    network: Uuid,
    host: Uuid,
    is_attached: bool,
}

pub fn check(xe: &Xe, hosts: &[Member]) -> Result<Vec<Finding>> {
    let (networks, pifs) = parallel::both(|| Network::all(xe), || pifs(xe));
    let (networks, pifs) = (networks?, pifs?);
    let mut found = Vec::new();
    for network in &networks {
        let pifs: Vec<&Pif> = pifs.iter().filter(|pif| pif.network == network.uuid).collect();
        found.extend(on_hosts(network, &pifs, hosts));
    }
    found.extend(namesakes(&networks));
    if found.is_empty() {
        let bridges: Vec<String> = networks.iter().map(|network| network.bridge.clone()).collect();
        found.push(match bridges.len() {
            0 => Finding::mend(SUBJECT, "the pool has none", "make one: xe network-create name-label=…"),
            _ => Finding::fine(SUBJECT, format!("bridges {}", some(&bridges))),
        });
    }
    Ok(found)
}

fn pifs(xe: &Xe) -> Result<Vec<Pif>> {
    xe.list("pif", &["uuid", "network-uuid", "host-uuid", "currently-attached"], &[], |record| {
        Ok(Pif {
            uuid: record.get("uuid")?,
            network: record.get("network-uuid")?,
            host: record.get("host-uuid")?,
            is_attached: record.text("currently-attached") == "true",
        })
    })
}

/// One without any PIF is internal, and may be so on purpose.
fn on_hosts(network: &Network, pifs: &[&Pif], hosts: &[Member]) -> Vec<Finding> {
    let mut found = Vec::new();
    if pifs.is_empty() {
        return found;
    }
    let name = format!("{} ({})", network.bridge, network.name_label);
    let has = |member: &&Member| pifs.iter().any(|pif| pif.host == member.host.uuid);
    let without: Vec<String> =
        hosts.iter().filter(|member| !has(member)).map(|member| member.host.name_label.clone()).collect();
    if !without.is_empty() {
        let text = format!("{name} does not reach {}", some(&without));
        found.push(Finding::note(SUBJECT, text, "VMs on it cannot start there nor migrate to it"));
    }
    for pif in pifs.iter().filter(|pif| !pif.is_attached) {
        let host = hosts.iter().find(|member| member.host.uuid == pif.host);
        let host = host.map_or("a host", |member| member.host.name_label.as_str());
        let text = format!("{name} is unplugged on {host}");
        found.push(Finding::mend(SUBJECT, text, format!("xe pif-plug uuid={}", pif.uuid)));
    }
    found
}

fn namesakes(networks: &[Network]) -> Vec<Finding> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for network in networks {
        *count.entry(network.name_label.as_str()).or_default() += 1;
    }
    let mut twice: Vec<&str> = count
        .into_iter()
        .filter(|(name, count)| *count > 1 && !name.is_empty())
        .map(|(name, _)| name)
        .collect();
    twice.sort_unstable();
    let note = |name: &str| {
        let text = format!("several have the name {name:?}");
        Finding::note(SUBJECT, text, "in OpenNebula's BRIDGE name them by bridge or uuid")
    };
    twice.into_iter().map(note).collect()
}
