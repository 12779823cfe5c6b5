//! The host's NUMA nodes, as far as XAPI tells: how many sockets and CPUs there are, but not which CPU is where.
//! So nothing is said of hosts with several sockets, nor of threads, whose order is the firmware's.

use crate::xe::{Record, record::map_value};
use std::fmt::Write;

/// Adds a core for each CPU, and the memory of the only node, in the form of OpenNebula's probe of KVM. There
/// are no huge pages to tell of: Xen gives them to VMs by itself.
pub fn describe(text: &mut String, host: &Record<'_>) {
    let count = |key| map_value(host.text("cpu_info"), key).and_then(|count| count.parse::<u32>().ok());
    let (Some(cpus), Some(1), Some(1)) =
        (count("cpu_count"), count("socket_count"), count("threads_per_core"))
    else {
        return;
    };
    let Ok(memory_bytes) = host.text("memory-total").parse::<u64>() else { return };
    for cpu in 0..cpus {
        _ = writeln!(text, "CORE = [ NODE_ID = \"0\", ID = \"{cpu}\", CPUS = \"{cpu}\" ]");
    }
    _ = writeln!(
        text,
        "MEMORY_NODE = [ NODE_ID = \"0\", TOTAL = \"{}\", DISTANCE = \"0\" ]",
        memory_bytes / 1024
    );
}

#[cfg(test)]
mod tests {
    use crate::xe::record;

    fn told(cpu_info: &str) -> String {
        let list =
            format!("uuid ( RO): u\n    memory-total ( RO): 2097152\n    cpu_info (MRO): {cpu_info}\n");
        let mut text = String::new();
        super::describe(&mut text, &record::parse(&list, &["uuid", "memory-total", "cpu_info"])[0]);
        text
    }

    #[test]
    fn only_what_is_known_is_told() {
        assert_eq!(
            told("cpu_count: 2; socket_count: 1; threads_per_core: 1"),
            "CORE = [ NODE_ID = \"0\", ID = \"0\", CPUS = \"0\" ]\nCORE = [ NODE_ID = \"0\", ID = \"1\", CPUS = \"1\" ]\n\
             MEMORY_NODE = [ NODE_ID = \"0\", TOTAL = \"2048\", DISTANCE = \"0\" ]\n"
        );
        for unknown in [
            "cpu_count: 4; socket_count: 2; threads_per_core: 1",
            "cpu_count: 4; socket_count: 1; threads_per_core: 2",
            "cpu_count: 4; socket_count: 1",
            "",
        ] {
            assert_eq!(told(unknown), "", "{unknown}");
        }
    }
}
