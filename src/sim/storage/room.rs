//! What disks take of their SR.
//!
//! XAPI has the figures of the last scan; here they are always of now.

use super::kind::{self, Kind};
use super::tracking;
use super::tree::own_blocks;
use super::{DEFLATED, backend, vhd};
use crate::sim::pool::Pool;
use crate::sim::refuse::Param;
use crate::sim::refuse::{Outcome, refused};
use crate::sim::row::{Class, Row};

/// What a disk takes of its SR, in bytes: `physical-utilisation`.
pub fn utilisation(pool: &Pool, disk: &Row) -> i64 {
    let size = disk.number("virtual-size");
    match kind::of(pool, disk.get("sr-uuid")) {
        Kind::Discs | Kind::Whole => size,
        _ if disk.get("type") == tracking::METADATA => tracking::log_bytes(size),
        Kind::Thin => vhd::file(size, own_blocks(pool, disk)),
        Kind::Thick if disk.is("managed") && !disk.is(DEFLATED) => vhd::volume(size),
        Kind::Thick => vhd::shrunk_volume(own_blocks(pool, disk)),
    }
}

/// What all disks of an SR take, in bytes, base copies too.
pub fn used(pool: &Pool, sr: &str) -> i64 {
    pool.referring(Class::Vdi, "sr-uuid", sr).iter().map(|disk| utilisation(pool, disk)).sum()
}

/// What the disks of an SR may grow to, in bytes: `virtual-allocation`.
pub fn allocated(pool: &Pool, sr: &str) -> i64 {
    let disks = pool.referring(Class::Vdi, "sr-uuid", sr);
    disks.iter().filter(|disk| disk.is("managed")).map(|disk| disk.number("virtual-size")).sum()
}

/// Refuses if the SR has not `bytes` left.
pub fn check_room(pool: &Pool, sr: &str, bytes: i64) -> Outcome<()> {
    if used(pool, sr) + bytes > pool.get(Class::Sr, sr)?.number("physical-size") {
        return Err(backend(44, "There is insufficient space"));
    }
    Ok(())
}

/// Refuses a new disk for which the SR has no room. A file system has room for any: it is full when data comes.
pub fn check_new(pool: &Pool, sr: &str, size: i64) -> Outcome<()> {
    match kind::of(pool, sr) {
        Kind::Thin => Ok(()),
        Kind::Thick => check_room(pool, sr, vhd::volume(size)),
        Kind::Discs | Kind::Whole => check_room(pool, sr, size),
    }
}

/// Refuses a disk's new size for which the SR has no room.
pub fn check_growth(pool: &Pool, sr: &str, old: i64, new: i64) -> Outcome<()> {
    match kind::of(pool, sr) {
        Kind::Thin => Ok(()),
        Kind::Thick => check_room(pool, sr, vhd::volume(new) - vhd::volume(old)),
        Kind::Discs | Kind::Whole => check_room(pool, sr, new - old),
    }
}

/// Refuses what has been written to a disk if the SR's file system could not have taken it.
pub fn check_written(pool: &Pool, disk: &str) -> Outcome<()> {
    let sr = pool.get(Class::Vdi, disk)?.get("sr-uuid");
    let full = kind::of(pool, sr) == Kind::Thin && check_room(pool, sr, 0).is_err();
    if full { Err(refused("VDI_IO_ERROR", vec![Param::text("Device I/O errors")])) } else { Ok(()) }
}
