//! `host/system`: what the host is and has.

use super::{Subject, datastores, number, string, wild_vms};
use crate::one::Release;
use crate::report::Result;
use crate::xe::{Record, record::map_value};
use anyhow::Context;
use std::path::Path;

const FIELDS: [&str; 6] = ["uuid", "hostname", "cpu_info", "memory-total", "software-version", "name-label"];

pub fn run(subject: &Subject<'_>) -> Result<String> {
    Ok(describe_host(subject)? + &describe_room(subject)? + &wild_vms::run(subject)?)
}

/// Its own values, one a line.
pub fn describe_host(subject: &Subject<'_>) -> Result<String> {
    let (uuid, called_as) = (subject.host.to_string(), subject.called_as);
    let host =
        subject.xe.list("host", &FIELDS, &[("uuid", &uuid)], |record| describe(record, called_as))?.pop();
    host.with_context(|| format!("host {uuid} has left the pool"))
}

/// How full its datastores are.
pub fn describe_room(subject: &Subject<'_>) -> Result<String> {
    let mut text = String::new();
    datastores::describe(&mut text, subject.datastores)?;
    Ok(text)
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
