//! `host/monitor`: how much of the host is in use.

use super::counters::Figure;
use super::{Subject, number, of_host};
use crate::parallel;
use crate::report::Result;
use crate::xe::{Record, call};
use anyhow::Context;

pub fn run(subject: &Subject<'_>) -> Result<String> {
    let (xe, uuid) = (subject.xe, subject.host.to_string());
    let fields = ["uuid", "memory-total", "memory-free", "cpu_info"];
    let read = |record: &Record<'_>| {
        let cores = record.map_value("cpu_info", "cpu_count").unwrap_or_default().to_owned();
        Ok((record.get::<u64>("memory-total")?, record.get::<u64>("memory-free")?, cores))
    };
    let (host, load) = parallel::both(
        || of_host(subject, &fields, read),
        || xe.run(&call("host-data-source-query").set("data-source", "cpu_avg").set("uuid", &uuid)),
    );
    let (total_bytes, free_bytes, cores) = host?;
    let total_cpu = 100.0 * cores.parse::<f64>().context("cpu_info: cpu_count")?;
    let load = load?;
    let used_cpu = total_cpu * load.trim().parse::<f64>().with_context(|| format!("cpu_avg is {load:?}"))?;
    let mut text = String::new();
    number(&mut text, "USEDMEMORY", total_bytes.saturating_sub(free_bytes) / 1024);
    number(&mut text, "FREEMEMORY", free_bytes / 1024);
    // For a few seconds after its start XAPI has measured nothing, and says nan.
    if used_cpu.is_finite() {
        let used_cpu = used_cpu.clamp(0.0, total_cpu);
        number(&mut text, "USEDCPU", format!("{used_cpu:.0}"));
        number(&mut text, "FREECPU", format!("{:.0}", total_cpu - used_cpu));
    }
    if let Some(counters) = subject.counters {
        for (figure, name) in [(Figure::NetRx, "NETRX"), (Figure::NetTx, "NETTX")] {
            if let Some(bytes) = counters.count(subject.host, figure) {
                number(&mut text, name, bytes);
            }
            if let Some(rate) = counters.per_second(subject.host, figure) {
                number(&mut text, &format!("{name}_BW"), format!("{rate:.1}"));
            }
        }
    }
    Ok(text)
}
