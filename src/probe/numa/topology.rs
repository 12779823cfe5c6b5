//! Which CPU is where, as Xen's own `xl info -n` tells in dom0 (xen tools/xl/xl_info.c). XAPI has no such thing.

use crate::process;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// It asks nobody but the hypervisor.
const LIMIT: Duration = Duration::from_secs(5);

/// A host's cores and nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Topology {
    pub cores: Vec<Core>,
    pub nodes: Vec<Node>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Core {
    pub node: u32,
    /// The numbers of its threads, as VMs are pinned to them.
    pub cpus: Vec<u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    pub id: u32,
    /// With the holes that the firmware leaves between memory.
    pub spanned_mb: u64,
    /// To each node, this one among them.
    pub distances: Vec<u32>,
}

impl Topology {
    /// That of the host this runs on; none where there is no Xen, or it does not tell.
    pub fn of_this_host() -> Option<Topology> {
        let said = process::output(Command::new("xl").args(["info", "-n"]), LIMIT).ok()?;
        Topology::parse(&String::from_utf8_lossy(&said.stdout)).filter(|_| said.status.success())
    }

    pub fn cpus(&self) -> usize {
        self.cores.iter().map(|core| core.cpus.len()).sum()
    }

    /// Reads the tables below `cpu_topology` and `numa_info`. None if a node of a CPU is not among the nodes.
    fn parse(text: &str) -> Option<Topology> {
        let table = |name: &'static str| {
            let lines = text.lines().skip_while(move |line| !line.starts_with(name)).skip(2);
            lines.map_while(|line| {
                let (index, rest) = line.split_once(':')?;
                Some((index.trim().parse::<u32>().ok()?, rest))
            })
        };
        // A core's number is its socket's own, and several sockets may be one node.
        let mut cores: BTreeMap<[u32; 3], Vec<u32>> = BTreeMap::new();
        for (cpu, rest) in table("cpu_topology") {
            let [core, socket, node] = numbers(rest.split_whitespace())?.try_into().ok()?;
            cores.entry([node, socket, core]).or_default().push(cpu);
        }
        let mut nodes = Vec::new();
        for (id, rest) in table("numa_info") {
            let mut words = rest.split_whitespace();
            let (spanned_mb, _free) = (words.next()?.parse().ok()?, words.next()?);
            nodes.push(Node { id, spanned_mb, distances: numbers(words.next()?.split(','))? });
        }
        let cores: Vec<Core> = cores.into_iter().map(|([node, ..], cpus)| Core { node, cpus }).collect();
        let all_known = cores.iter().all(|core| nodes.iter().any(|node| node.id == core.node));
        (all_known && !cores.is_empty()).then_some(Topology { cores, nodes })
    }
}

fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<u32>> {
    words.map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets of two cores with two threads, written as xl_info.c does.
    const TWO_SOCKETS: &str = "\
host                   : xcp-a
nr_cpus                : 8
cpu_topology           :
cpu:    core    socket     node
  0:       0        0        0
  1:       0        0        0
  2:       1        0        0
  3:       1        0        0
  4:       0        1        1
  5:       0        1        1
  6:       1        1        1
  7:       1        1        1
device topology        :
device           node
0000:00:00.0      0
numa_info              :
node:    memsize    memfree    distances
   0:     10240       1024      10,21
   1:      8192       2048      21,10
xen_major              : 4
";

    #[test]
    fn threads_are_with_their_core_and_cores_with_their_node() {
        let read = Topology::parse(TWO_SOCKETS).unwrap();
        let core = |node, cpus: [u32; 2]| Core { node, cpus: cpus.into() };
        assert_eq!(read.cores, [core(0, [0, 1]), core(0, [2, 3]), core(1, [4, 5]), core(1, [6, 7])]);
        let node = |id, spanned_mb, distances: [u32; 2]| Node { id, spanned_mb, distances: distances.into() };
        assert_eq!(read.nodes, [node(0, 10240, [10, 21]), node(1, 8192, [21, 10])]);
        assert_eq!(read.cpus(), 8);
    }

    #[test]
    fn sockets_of_one_node_keep_their_cores_apart() {
        let one_node = TWO_SOCKETS.replace("        1        1\n", "        1        0\n");
        let read = Topology::parse(&one_node).unwrap();
        let cpus: Vec<&[u32]> = read.cores.iter().map(|core| core.cpus.as_slice()).collect();
        assert_eq!(cpus, [[0, 1], [2, 3], [4, 5], [6, 7]]);
        assert!(read.cores.iter().all(|core| core.node == 0));
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        let (before_nodes, _) = TWO_SOCKETS.split_once("numa_info").unwrap();
        let torn = TWO_SOCKETS.replace("       1        1        1\n", "       1        1\n");
        for text in ["", "xl: command not found\n", before_nodes, &torn] {
            assert_eq!(Topology::parse(text), None, "{text}");
        }
    }
}
