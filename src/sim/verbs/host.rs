//! Hosts (xapi `xapi_host.ml`).

use super::migrate;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::print::Record;
use crate::sim::refuse::{Outcome, Param, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::hosts;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "host-disable", required: &[], optional: &[], run: Run::Changes(disable) },
    Verb { name: "host-enable", required: &[], optional: &[], run: Run::Changes(enable) },
    Verb { name: "host-evacuate", required: &[], optional: &["network-uuid"], run: Run::Changes(evacuate) },
    Verb { name: "host-cpu-info", required: &[], optional: &["uuid"], run: Run::Reads(cpu_info) },
    Verb {
        name: "host-compute-free-memory",
        required: &[],
        optional: &[],
        run: Run::Reads(compute_free_memory),
    },
    Verb { name: "host-data-source-list", required: &[], optional: &[], run: Run::Reads(data_source_list) },
    Verb {
        name: "host-data-source-query",
        required: &["data-source"],
        optional: &[],
        run: Run::Reads(data_source_query),
    },
];

fn disable(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, true, &[])? {
        pool.set(Class::Host, &host, "enabled", "false")?;
    }
    Ok(())
}

fn enable(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, true, &[])? {
        let row = pool.edit(Class::Host, &host)?;
        row.take("other-config", "MAINTENANCE_MODE");
        row.set("enabled", "true");
    }
    Ok(())
}

/// Every running VM goes to another host.
fn evacuate(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, false, &["network-uuid"])? {
        if pool.get(Class::Host, &host)?.is("enabled") {
            return Err(refused("HOST_NOT_DISABLED", vec![]));
        }
        for vm in pool.referring_uuids(Class::Vm, "resident-on", &host) {
            if !pool.get(Class::Vm, &vm)?.is("is-control-domain") {
                let target = super::machine::choose_host(pool, &vm)?;
                migrate::pool_migrate(pool, &vm, &target)?;
            }
        }
    }
    Ok(())
}

fn cpu_info(pool: &Pool, call: &mut Call) -> Outcome<()> {
    let host = match call.command.get("uuid") {
        Some(uuid) => uuid.to_owned(),
        None => pool.coordinator()?,
    };
    let entries = pool.get(Class::Host, &host)?.entries("cpu_info");
    let record: Record = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    call.out.table(&[record]);
    Ok(())
}

fn compute_free_memory(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, false, &[])? {
        let free = lifecycle::free_memory(pool, pool.get(Class::Host, &host)?);
        call.out.remark(&free.to_string());
    }
    Ok(())
}

/// A data source: name, description, largest value, unit, value now.
pub struct Source {
    pub name: String,
    pub description: String,
    pub max: &'static str,
    pub units: &'static str,
    pub value: f64,
}

/// Prints data sources (xapi `data_source_to_kvs`).
pub fn show(call: &mut Call, sources: &[Source]) {
    let records: Vec<Record> = sources
        .iter()
        .map(|source| {
            let lines = [
                ("name_label", source.name.as_str()),
                ("name_description", &source.description),
                ("enabled", "true"),
                ("standard", "true"),
                ("min", "0.000"),
                ("max", source.max),
                ("units", source.units),
            ];
            lines.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
        })
        .collect();
    call.out.table(&records);
}

/// Prints the value of one data source.
pub fn query(call: &mut Call, sources: &[Source]) -> Outcome<()> {
    let name = call.command.need("data-source")?.to_owned();
    let Some(source) = sources.iter().find(|source| source.name == name) else {
        return Err(refused("INTERNAL_ERROR", vec![Param::text(format!("No such data source: {name}"))]));
    };
    call.out.list(&[format!("{:.6}", source.value)]);
    Ok(())
}

/// What is measured of a host.
#[expect(clippy::cast_precision_loss, reason = "a gauge is shown with six digits")]
pub fn sources(pool: &Pool, host: &Row) -> Vec<Source> {
    let source = |name: &str, description: &str, max, units, value| Source {
        name: name.to_owned(),
        description: description.to_owned(),
        max,
        units,
        value,
    };
    let total = host.number("memory-total") as f64 / 1024.0;
    let free = lifecycle::free_memory(pool, host) as f64 / 1024.0;
    let cpus = host.entry("cpu_info", "cpu_count").and_then(|count| count.parse().ok()).unwrap_or(1);
    let mut all: Vec<Source> = (0..cpus)
        .map(|cpu: u32| {
            let description = format!("Physical cpu usage for cpu {cpu}");
            source(&format!("cpu{cpu}"), &description, "1.000", "(fraction)", 0.025)
        })
        .collect();
    all.push(source("cpu_avg", "Average physical cpu usage", "1.000", "(fraction)", 0.025));
    all.push(source("memory_total_kib", "Total amount of memory in use", "inf", "KiB", total));
    all.push(source("memory_free_kib", "Total amount of free memory", "inf", "KiB", free));
    all.push(source("loadavg", "Domain0 loadavg", "inf", "(fraction)", 0.1));
    for pif in pool.referring(Class::Pif, "host-uuid", &host.uuid).iter().filter(|pif| pif.is("physical")) {
        let device = pif.get("device");
        for (way, word) in [("rx", "received"), ("tx", "transmitted")] {
            let description = format!("Bytes per second {word} on physical interface {device}");
            all.push(source(&format!("pif_{device}_{way}"), &description, "inf", "B/s", 1024.0));
        }
    }
    all
}

fn data_source_list(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, false, &[])? {
        show(call, &sources(pool, pool.get(Class::Host, &host)?));
    }
    Ok(())
}

fn data_source_query(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for host in hosts(pool, &call.command, false, &["data-source"])? {
        query(call, &sources(pool, pool.get(Class::Host, &host)?))?;
    }
    Ok(())
}
