//! Changed block tracking: which blocks of a VDI have changed between two of its snapshots.

use super::{Call, Uuid, Xe, call};
use crate::report::Result;
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A bit stands for so many bytes (sm VDI.py `CBT_BLOCK_SIZE`).
const UNIT_BYTES: u64 = 64 << 10;

/// Begins to keep a log of what changes in a VDI; one that is kept already goes on (xapi_vdi.ml
/// `change_cbt_status`).
pub fn track(uuid: &Uuid) -> Call {
    call("vdi-enable-cbt").set("uuid", uuid)
}

/// Ends it. A VDI that is tracked cannot be moved to another SR while a VM runs on it.
pub fn untrack(uuid: &Uuid) -> Call {
    call("vdi-disable-cbt").set("uuid", uuid)
}

/// Only the log of a snapshot stays, and its record.
pub fn destroy_data(uuid: &Uuid) -> Call {
    call("vdi-data-destroy").set("uuid", uuid)
}

/// A bit for each 64 KiB that has changed from one snapshot to a later one of the same VDI, the highest bit of the
/// first byte first. `size_bytes` is that of the later one.
pub fn between(xe: &Xe, from: &Uuid, to: &Uuid, size_bytes: u64) -> Result<Vec<u8>> {
    let list = call("vdi-list-changed-blocks").set("vdi-from-uuid", from).set("vdi-to-uuid", to);
    let answer = xe.run_within(&list, xe.transfer_limit)?;
    let bits = STANDARD.decode(answer.trim()).with_context(|| format!("{list} answered something else"))?;
    let wanted = size_bytes.div_ceil(UNIT_BYTES).div_ceil(8);
    ensure!(
        bits.len() as u64 >= wanted,
        "{list} answered {} bytes, and {wanted} are needed for all blocks",
        bits.len()
    );
    Ok(bits)
}
