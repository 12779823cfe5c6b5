//! What it costs to read `xe vm-list`: 10, 100, 1,000 and 10,000 VMs, in microseconds and nanoseconds a VM.
//! Linear growth shows as a constant last column.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use one_xcp::xe::record;
use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

const FIELDS: [&str; 6] =
    ["uuid", "power-state", "snapshots", "resident-on", "other-config", "memory-actual"];

/// What `xe vm-list` prints for so many VMs.
fn vm_list(vms: usize) -> String {
    let mut text = String::new();
    for vm in 0..vms {
        writeln!(text, "uuid ( RO)             : 00000000-0000-4000-8000-{vm:012}").unwrap();
        writeln!(text, "       power-state ( RO): running").unwrap();
        writeln!(text, "         snapshots ( RO): ").unwrap();
        writeln!(text, "       resident-on ( RO): 00000000-0000-4000-9000-000000000001").unwrap();
        writeln!(
            text,
            "      other-config (MRW): one_vm_uuid: 00000000-0000-4000-8000-{vm:012}; one_vm_id: {vm}; base_template_name: \
             Other install media; mac_seed: 5c2d0b5a-0000-4000-8000-{vm:012}; install-methods: cdrom"
        )
        .unwrap();
        writeln!(text, "     memory-actual ( RO): 536870912\n\n").unwrap();
    }
    text
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let budget = Duration::from_millis(if quick { 100 } else { 2000 });
    println!("{:>8} {:>12} {:>10}", "VMs", "us", "ns a VM");
    for vms in [10, 100, 1_000, 10_000] {
        let text = vm_list(vms);
        let mut best = Duration::MAX;
        let start = Instant::now();
        while start.elapsed() < budget {
            let round = Instant::now();
            assert_eq!(black_box(record::parse(black_box(&text), &FIELDS)).len(), vms);
            best = best.min(round.elapsed());
        }
        let ns = best.as_nanos() as f64;
        println!("{vms:>8} {:>12.1} {:>10.0}", ns / 1000.0, ns / vms as f64);
    }
}
