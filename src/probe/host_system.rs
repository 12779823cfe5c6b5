//! `host/system`: what the host is and has.

use super::{Subject, datastores, numa, number, of_host, pci, storage, string, wild_vms};
use crate::one::Release;
use crate::parallel;
use crate::report::Result;
use crate::xe::{Record, record::map_value};
use anyhow::Context;
use std::path::Path;

const FIELDS: [&str; 5] = ["uuid", "hostname", "cpu_info", "memory-total", "software-version"];

/// What a host's record tells.
pub struct Own {
    /// One value a line.
    pub values: String,
    numa: String,
}

/// Nearly all of it is asked side by side.
pub fn run(subject: &Subject<'_>) -> Result<String> {
    let ((own, pool), (srs, wilds)) = parallel::both(
        || parallel::both(|| own(subject), || subject.xe.values("pool", "name-label", &[])),
        || parallel::both(|| storage::describe(subject), || wild_vms::run(subject)),
    );
    let own = own?;
    let mut text = own.values;
    if let Some(name) = pool?.pop().filter(|name| !name.is_empty()) {
        string(&mut text, "XCP_POOL", &name);
    }
    datastores::describe(&mut text, subject.datastores)?;
    text = text + &srs? + &own.numa;
    if let Some(filter) = subject.pci {
        pci::describe(&mut text, filter);
    }
    Ok(text + &wilds?)
}

pub fn own(subject: &Subject<'_>) -> Result<Own> {
    let called_as = subject.called_as;
    let read = |record: &Record<'_>| {
        Ok(Own { values: describe(record, called_as)?, numa: numa::known(subject.xe, record) })
    };
    of_host(subject, &FIELDS, read)
}

fn describe(host: &Record<'_>, called_as: &Path) -> Result<String> {
    let cpu = |key| map_value(host.text("cpu_info"), key).unwrap_or_default();
    let cores: u64 = cpu("cpu_count").parse().context("cpu_info: cpu_count")?;
    let memory_bytes: u64 = host.get("memory-total")?;
    let mut text = String::new();
    string(&mut text, "HYPERVISOR", "xcp");
    string(&mut text, "HOSTNAME", host.text("hostname"));
    string(&mut text, "ARCH", std::env::consts::ARCH);
    string(&mut text, "MODELNAME", cpu("modelname").trim());
    if let Ok(mhz) = cpu("speed").parse::<f64>() {
        number(&mut text, "CPUSPEED", format!("{mhz:.0}"));
    }
    number(&mut text, "TOTALCPU", cores * 100);
    number(&mut text, "TOTALMEMORY", memory_bytes / 1024);
    string(
        &mut text,
        "XCP_VERSION",
        map_value(host.text("software-version"), "product_version").unwrap_or_default(),
    );
    // VERSION is that of the remotes: `onehost sync` compares it (onehost_helper.rb:274).
    if let Some(version) = Release::text_beside(called_as) {
        string(&mut text, "VERSION", &version);
    }
    Ok(text)
}
