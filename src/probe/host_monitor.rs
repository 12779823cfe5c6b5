//! `host/monitor`: how much of the host is in use.

use super::counters::Figure;
use super::{Subject, number, of_host};
use crate::parallel;
use crate::report::Result;
use crate::translate::figure;
use crate::xe::{Record, call};

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
    let mut text = String::new();
    number(&mut text, "USEDMEMORY", total_bytes.saturating_sub(free_bytes) / 1024);
    number(&mut text, "FREEMEMORY", free_bytes / 1024);
    // Without xcp-rrdd XAPI measures nothing and the call fails; for a few seconds after its start it says nan.
    let total_cpu = cores.parse::<u32>().ok().map(|cores| 100.0 * f64::from(cores));
    let load = load.ok().and_then(|load| load.trim().parse::<f64>().ok()).filter(|load| load.is_finite());
    if let (Some(total_cpu), Some(load)) = (total_cpu, load) {
        let used_cpu = (total_cpu * load).clamp(0.0, total_cpu);
        for (name, percent) in [("USEDCPU", used_cpu), ("FREECPU", total_cpu - used_cpu)] {
            number(&mut text, name, figure::whole(percent).unwrap_or_default());
        }
    }
    if let Some(counters) = subject.counters {
        for (counted, name) in [(Figure::NetRx, "NETRX"), (Figure::NetTx, "NETTX")] {
            if let Some(bytes) = counters.count(subject.host, counted) {
                number(&mut text, name, bytes);
            }
            if let Some(rate) = counters.per_second(subject.host, counted).and_then(figure::decimal) {
                number(&mut text, &format!("{name}_BW"), rate);
            }
        }
    }
    Ok(text)
}
