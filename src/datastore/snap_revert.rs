//! `snap_revert`: the image holds again what it held at a snapshot, which stays.

use super::Call;
use crate::report::Result;
use crate::storage::swap::{self, How};
use crate::storage::{lineage, snapshot};
use crate::translate::mark;
use anyhow::ensure;

pub fn run(call: &Call) -> Result<String> {
    revert(call, How::Cloned)?;
    Ok(String::new())
}

/// Puts the snapshot's content in the image's place.
pub fn revert(call: &Call, how: How) -> Result<()> {
    let (xe, key) = (&call.xe, call.key()?);
    let from = snapshot::need(xe, &key, call.snapshot_id()?)?;
    let now = lineage::need(xe, &key)?;
    ensure!(now.vbds == 0, "VDI {} is in {} VM(s): it is not replaced", now.uuid, now.vbds);
    swap::replace(xe, &now, &from, how, &mark::image(call.request.id), &|_| Ok(()))?;
    Ok(())
}
