//! `snap_flatten`: the image holds what it held at a snapshot, all of it its own, and has no snapshots any more.

use super::Call;
use super::snap_revert::revert;
use crate::report::Result;
use crate::storage::snapshot;
use crate::storage::swap::How;

pub fn run(call: &Call) -> Result<String> {
    let key = call.key()?;
    // Called again after it was cut short: the image was done, and some snapshots are left.
    if snapshot::find(&call.xe, &key, call.snapshot_id()?)?.is_some() {
        revert(call, How::Copied)?;
    }
    snapshot::delete_all(&call.xe, &key)?;
    Ok(String::new())
}
