//! Changed block tracking (sm `VDI.py`: `configure_blocktracking`, `_cbt_snapshot`, `delete`,
//! `list_changed_blocks`).
//!
//! A tracked disk and its snapshots form a chain, from the oldest snapshot to the disk; each has a log of the blocks
//! that were changed since the one before. Here that of the disk itself follows from the bytes that it had at its
//! last snapshot, so what was written again as it was does not count.

use super::backend;
use crate::sim::disk_bytes::changed_blocks;
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::{Fail, Outcome};
use crate::sim::row::{Class, Row};
use std::fs;

/// The type of a snapshot of which only the log is left.
pub const METADATA: &str = "CBT metadata";
/// A bit of a log stands for so many bytes (`CBT_BLOCK_SIZE`).
pub const BLOCK: u64 = 64 << 10;

/// Neighbours in the chain.
const BEFORE: &str = "sim-cbt-before";
const AFTER: &str = "sim-cbt-after";

/// The bytes of a log for a disk of this size, in bytes.
pub fn log_bytes(size: i64) -> i64 {
    i64::try_from(size.max(0).unsigned_abs().div_ceil(BLOCK).div_ceil(8)).unwrap_or(0)
}

/// Begins to track a disk.
pub fn enable(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    if !pool.get(Class::Vdi, uuid)?.is("cbt-enabled") {
        pool.set(Class::Vdi, uuid, "cbt-enabled", "true")?;
        pool.bytes.push(Bytes::Track(uuid.to_owned()));
    }
    Ok(())
}

/// Stops tracking a disk; its snapshots keep their logs.
pub fn disable(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let before = pool.get(Class::Vdi, uuid)?.get(BEFORE).to_owned();
    link(pool, &before, "")?;
    forget(pool.edit(Class::Vdi, uuid)?);
    pool.bytes.push(Bytes::Untrack(uuid.to_owned()));
    Ok(())
}

/// A disk that is not tracked, as every clone and copy.
pub fn forget(row: &mut Row) {
    row.set("cbt-enabled", "false");
    row.set(BEFORE, "");
    row.set(AFTER, "");
}

/// A snapshot of a tracked disk takes over its log; the disk's begins anew.
pub fn snapshot(pool: &mut Pool, disk: &str, taken: &str) -> Outcome<()> {
    if !pool.get(Class::Vdi, disk)?.is("cbt-enabled") {
        return Ok(());
    }
    let before = pool.get(Class::Vdi, disk)?.get(BEFORE).to_owned();
    pool.set(Class::Vdi, taken, "cbt-enabled", "true")?;
    link(pool, &before, taken)?;
    link(pool, taken, disk)?;
    pool.bytes.push(Bytes::Log(disk.to_owned(), taken.to_owned()));
    Ok(())
}

/// What goes out of its chain leaves its log to the one after it.
pub fn leave(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let row = pool.get(Class::Vdi, uuid)?;
    let (before, after) = (row.get(BEFORE).to_owned(), row.get(AFTER).to_owned());
    link(pool, &before, &after)?;
    if !after.is_empty() {
        pool.bytes.push(Bytes::Merge(uuid.to_owned(), after));
    }
    Ok(())
}

fn link(pool: &mut Pool, before: &str, after: &str) -> Outcome<()> {
    if !before.is_empty() {
        pool.set(Class::Vdi, before, AFTER, after)?;
    }
    if !after.is_empty() {
        pool.set(Class::Vdi, after, BEFORE, before)?;
    }
    Ok(())
}

/// The blocks that were changed between two of one chain: a bit each, the highest of the first byte first.
pub fn changes(pool: &Pool, from: &str, to: &str) -> Outcome<Vec<u8>> {
    if from == to {
        return Err(not_calculated("Source and target VDI are same"));
    }
    let is_tracked = |uuid: &str| pool.find(Class::Vdi, uuid).is_some_and(|row| row.is("cbt-enabled"));
    let mut merged = Vec::new();
    let mut at = if is_tracked(from) && is_tracked(to) { pool.find(Class::Vdi, from) } else { None };
    while let Some(next) = at.and_then(|row| pool.find(Class::Vdi, row.get(AFTER))) {
        merge(&mut merged, &log(pool, next));
        if next.uuid == to {
            return Ok(merged);
        }
        at = Some(next);
    }
    Err(not_calculated("Source and target VDI are unrelated"))
}

fn not_calculated(why: &str) -> Fail {
    backend(460, &format!("Failed to calculate changed blocks for given VDIs. [opterr={why}]"))
}

/// The log of one of a chain.
fn log(pool: &Pool, row: &Row) -> Vec<u8> {
    let length = usize::try_from(log_bytes(row.number("virtual-size"))).unwrap_or_default();
    let mut bits = vec![0; length];
    merge(&mut bits, &fs::read(pool.content(&format!("{}.log", row.uuid))).unwrap_or_default());
    if row.get(AFTER).is_empty() {
        merge(&mut bits, &since_snapshot(pool, &row.uuid));
    }
    bits
}

/// What has been changed in a tracked disk since its last snapshot.
pub fn since_snapshot(pool: &Pool, disk: &str) -> Vec<u8> {
    let tracked = pool.content(&format!("{disk}.tracked"));
    let changed = changed_blocks(Some(&tracked), &pool.content(disk), BLOCK).unwrap_or_default();
    let length = changed.last().map_or(0, |last| last / 8 + 1);
    let mut bits = vec![0_u8; usize::try_from(length).unwrap_or_default()];
    for block in changed {
        if let Some(byte) = usize::try_from(block / 8).ok().and_then(|at| bits.get_mut(at)) {
            *byte |= 0x80 >> (block % 8);
        }
    }
    bits
}

/// Adds the bits of a log to another.
pub fn merge(into: &mut Vec<u8>, more: &[u8]) {
    into.resize(into.len().max(more.len()), 0);
    for (byte, more) in into.iter_mut().zip(more) {
        *byte |= more;
    }
}
