//! XAPI storage repositories.

use super::{Record, Uuid, Xe, call};
use crate::report::Result;
use anyhow::{Context, bail, ensure};

/// The SR that the pool puts new disks on.
pub fn pool_default(xe: &Xe) -> Result<Option<Uuid>> {
    let read = |record: &Record<'_>| record.optional("default-SR");
    let pool = xe.list("pool", &["uuid", "default-SR"], &[], read)?.pop();
    pool.context("xe lists no pool")
}

/// How much an SR holds, in bytes.
#[derive(Clone, Debug)]
pub struct Sr {
    pub uuid: Uuid,
    pub physical_size_bytes: u64,
    pub physical_utilisation_bytes: u64,
}

const FIELDS: [&str; 3] = ["uuid", "physical-size", "physical-utilisation"];

impl Sr {
    fn read(record: &Record<'_>) -> Result<Sr> {
        // An SR that is not plugged anywhere has -1 or nothing there.
        let bytes = |field: &str| record.text(field).parse::<i64>().unwrap_or(0).max(0).unsigned_abs();
        Ok(Sr {
            uuid: record.get("uuid")?,
            physical_size_bytes: bytes("physical-size"),
            physical_utilisation_bytes: bytes("physical-utilisation"),
        })
    }

    /// The SR that goes by `name`: uuid or name-label.
    pub fn named(xe: &Xe, name: &str) -> Result<Sr> {
        let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
        only(key, name, &xe.list("sr", &FIELDS, &[(key, name)], Sr::read)?)
    }
}

/// The SRs that go by `name`, uuid or name-label; at least one.
pub fn all_named(xe: &Xe, name: &str) -> Result<Vec<Uuid>> {
    let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
    let found = xe.list("sr", &["uuid"], &[(key, name)], |record| record.get("uuid"))?;
    ensure!(!found.is_empty(), "the pool has no SR with the {key} {name:?}");
    Ok(found)
}

/// The SR's name-label.
pub fn name_of(xe: &Xe, sr: &Uuid) -> Result<String> {
    xe.run(&call("sr-param-get").set("uuid", sr).set("param-name", "name-label"))
}

/// The SR that goes by `name`: uuid or name-label.
pub fn named(xe: &Xe, name: &str) -> Result<Uuid> {
    let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
    only(key, name, &xe.list("sr", &["uuid"], &[(key, name)], |record| record.get("uuid"))?)
}

fn only<T: Clone>(key: &str, name: &str, found: &[T]) -> Result<T> {
    match found {
        [sr] => Ok(sr.clone()),
        [] => bail!("the pool has no SR with the {key} {name:?}"),
        several => bail!("{} SRs of the pool have the {key} {name:?}; name it by its uuid", several.len()),
    }
}
