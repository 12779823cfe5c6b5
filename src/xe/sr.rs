//! XAPI storage repositories.

use super::{Record, Uuid, Xe};
use crate::report::Result;
use anyhow::{Context, bail};

/// The SR that the pool puts new disks on.
pub fn pool_default(xe: &Xe) -> Result<Option<Uuid>> {
    let read = |record: &Record<'_>| record.optional("default-SR");
    let pool = xe.list("pool", &["uuid", "default-SR"], &[], read)?.pop();
    pool.context("xe lists no pool")
}

/// The SR that goes by `name`: uuid or name-label.
pub fn named(xe: &Xe, name: &str) -> Result<Uuid> {
    let key = if name.parse::<Uuid>().is_ok() { "uuid" } else { "name-label" };
    let found: Vec<Uuid> = xe.list("sr", &["uuid"], &[(key, name)], |record| record.get("uuid"))?;
    match found.as_slice() {
        [sr] => Ok(sr.clone()),
        [] => bail!("the pool has no SR with the {key} {name:?}"),
        several => bail!("{} SRs of the pool have the {key} {name:?}; name it by its uuid", several.len()),
    }
}
