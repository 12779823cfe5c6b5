//! The host's NUMA nodes and cores, in the form of OpenNebula's probe of KVM. There are no huge pages to tell of:
//! Xen gives them to VMs by itself.
//!
//! XAPI tells how many sockets and CPUs there are, but not which CPU is where: that is asked of Xen, on the host
//! itself. From elsewhere nothing is said of hosts with several sockets, nor of threads, whose order is the
//! firmware's.

mod topology;

use crate::xe::{Record, Xe, record::map_value};
use std::fmt::Write;
use topology::{Core, Node, Topology};

/// What can be known of a host whose record this is.
pub fn known(xe: &Xe, host: &Record<'_>) -> String {
    let found = if xe.is_of_this_host() { Topology::of_this_host() } else { None };
    describe(found, host)
}

fn describe(found: Option<Topology>, host: &Record<'_>) -> String {
    let mut text = String::new();
    let count = |key| map_value(host.text("cpu_info"), key).and_then(|count| count.parse::<u32>().ok());
    let Some(cpus) = count("cpu_count") else { return text };
    let Ok(memory_bytes) = host.text("memory-total").parse::<u64>() else { return text };
    let simple = count("socket_count") == Some(1) && count("threads_per_core") == Some(1);
    // Of another number of CPUs it may not be this host's.
    let found = found.filter(|found| u32::try_from(found.cpus()) == Ok(cpus));
    let Some(topology) = found.or_else(|| simple.then(|| Topology::of_one_node(cpus))) else { return text };
    for Core { node, cpus } in &topology.cores {
        let (Some(id), cpus) = (cpus.first(), cpus.iter().map(ToString::to_string)) else { continue };
        let cpus = cpus.collect::<Vec<_>>().join(",");
        _ = writeln!(text, "CORE = [ NODE_ID = \"{node}\", ID = \"{id}\", CPUS = \"{cpus}\" ]");
    }
    let spanned_mb: u64 = topology.nodes.iter().map(|node| node.spanned_mb).sum();
    for node in &topology.nodes {
        _ = writeln!(
            text,
            "MEMORY_NODE = [ NODE_ID = \"{}\", TOTAL = \"{}\", DISTANCE = \"{}\" ]",
            node.id,
            share(memory_bytes / 1024, node.spanned_mb, spanned_mb),
            by_distance(node, &topology.nodes)
        );
    }
    text
}

/// A node's part of the host's memory. What nodes span is more than what they have, by holes of an unknown place.
fn share(memory_kib: u64, spanned_mb: u64, all_spanned_mb: u64) -> u64 {
    let part = u128::from(memory_kib) * u128::from(spanned_mb) / u128::from(all_spanned_mb.max(1));
    u64::try_from(part).unwrap_or(memory_kib)
}

/// The nodes' numbers, the nearest first.
fn by_distance(of: &Node, nodes: &[Node]) -> String {
    let mut others: Vec<(&u32, u32)> = of.distances.iter().zip(nodes.iter().map(|node| node.id)).collect();
    others.sort_by_key(|(distance, _)| **distance);
    others.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>().join(" ")
}

impl Topology {
    /// Of a host with one socket and one thread a core: XAPI says enough.
    fn of_one_node(cpus: u32) -> Topology {
        let cores = (0..cpus).map(|cpu| Core { node: 0, cpus: vec![cpu] }).collect();
        Topology { cores, nodes: vec![Node { id: 0, spanned_mb: 1, distances: vec![10] }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xe::record;

    fn told(found: Option<Topology>, cpu_info: &str) -> String {
        let list =
            format!("uuid ( RO): u\n    memory-total ( RO): 9663676416\n    cpu_info (MRO): {cpu_info}\n");
        describe(found, &record::parse(&list, &["uuid", "memory-total", "cpu_info"])[0])
    }

    #[test]
    fn only_what_is_known_is_told() {
        assert_eq!(
            told(None, "cpu_count: 2; socket_count: 1; threads_per_core: 1"),
            "CORE = [ NODE_ID = \"0\", ID = \"0\", CPUS = \"0\" ]\nCORE = [ NODE_ID = \"0\", ID = \"1\", CPUS = \"1\" ]\n\
             MEMORY_NODE = [ NODE_ID = \"0\", TOTAL = \"9437184\", DISTANCE = \"0\" ]\n"
        );
        for unknown in [
            "cpu_count: 4; socket_count: 2; threads_per_core: 1",
            "cpu_count: 4; socket_count: 1; threads_per_core: 2",
            "cpu_count: 4; socket_count: 1",
            "",
        ] {
            assert_eq!(told(None, unknown), "", "{unknown}");
        }
    }

    #[test]
    fn nodes_have_their_part_of_the_memory_and_know_their_neighbours() {
        let node = |id, spanned_mb, distances: [u32; 2]| Node { id, spanned_mb, distances: distances.into() };
        let core = |node, cpus: [u32; 2]| Core { node, cpus: cpus.into() };
        let two = || Topology {
            cores: vec![core(0, [0, 1]), core(1, [2, 3])],
            nodes: vec![node(0, 8192, [10, 21]), node(1, 4096, [21, 10])],
        };
        let cpu_info = "cpu_count: 4; socket_count: 2; threads_per_core: 2";
        assert_eq!(
            told(Some(two()), cpu_info),
            "CORE = [ NODE_ID = \"0\", ID = \"0\", CPUS = \"0,1\" ]\nCORE = [ NODE_ID = \"1\", ID = \"2\", CPUS = \"2,3\" ]\n\
             MEMORY_NODE = [ NODE_ID = \"0\", TOTAL = \"6291456\", DISTANCE = \"0 1\" ]\n\
             MEMORY_NODE = [ NODE_ID = \"1\", TOTAL = \"3145728\", DISTANCE = \"1 0\" ]\n"
        );
        assert_eq!(told(Some(two()), "cpu_count: 8; socket_count: 2; threads_per_core: 2"), "");
    }
}
