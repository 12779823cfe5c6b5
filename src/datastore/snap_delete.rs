//! `snap_delete`: removes one snapshot of an image.

use super::Call;
use crate::report::Result;
use crate::storage::snapshot;

pub fn run(call: &Call) -> Result<String> {
    snapshot::delete(&call.xe, &call.key()?, call.snapshot_id()?)?;
    Ok(String::new())
}
