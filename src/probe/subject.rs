//! The host that a probe is about, and how its records are found.

use super::{Counters, Details, pci};
use crate::report::Result;
use crate::xe::{Record, Uuid, Xe};
use anyhow::Context;
use std::path::Path;
use std::sync::Mutex;

/// The host that is asked about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub xe: &'a Xe,
    pub host: &'a Uuid,
    /// The script; beside it is the release's VERSION.
    pub called_as: &'a Path,
    /// Where the datastores are.
    pub datastores: &'a Path,
    /// What XAPI has measured, if it can be asked.
    pub counters: Option<&'a Counters>,
    /// Whether XAPI has just told what it measured of all VMs at once.
    pub is_measured: bool,
    /// Which of its PCI devices are given to VMs.
    pub pci: Option<&'a pci::Filter>,
    /// What was learnt of its VMs before.
    pub details: &'a Mutex<Details>,
}

/// `filters` without the first one, which names a host, where one answer serves all hosts of the pool: then the
/// records tell whose they are.
pub fn of_host_or_pool<'a>(xe: &Xe, filters: &'a [(&'a str, &'a str)]) -> &'a [(&'a str, &'a str)] {
    if xe.shared.is_some() { filters.get(1..).unwrap_or_default() } else { filters }
}

/// The subject's own record.
pub fn of_host<T>(
    subject: &Subject<'_>,
    fields: &[&str],
    read: impl Fn(&Record<'_>) -> Result<T>,
) -> Result<T> {
    let uuid = subject.host.to_string();
    let filters = [("uuid", uuid.as_str())];
    let found = subject.xe.list("host", fields, of_host_or_pool(subject.xe, &filters), |record| {
        (record.text("uuid") == uuid).then(|| read(record)).transpose()
    })?;
    found.into_iter().flatten().next().with_context(|| format!("host {uuid} has left the pool"))
}
