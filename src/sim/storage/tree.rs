//! Trees of VHDs: what clones and snapshots share is in base copies, which nobody writes to and XAPI shows as
//! disks that are not managed (sm `FileSR.py`, `LVHDSR.py`: `_snapshot`; `cleanup.py`).
//!
//! Here each disk has all its bytes in a file of its own; which of them are in its VHD is told by comparing it with
//! its parent.

use super::kind::{self, Kind};
use super::room::{check_room, utilisation};
use super::{DEFLATED, attached, backend, vhd};
use crate::sim::disk_bytes::changed_blocks;
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, Row};

/// The attribute that holds the uuid of a disk's parent.
const PARENT: &str = "sm-config:vhd-parent";

/// How many blocks a disk's own VHD holds.
pub fn own_blocks(pool: &Pool, disk: &Row) -> i64 {
    let parent = disk.get(PARENT);
    let old = (!parent.is_empty()).then(|| pool.content(parent));
    let changed = changed_blocks(old.as_deref(), &pool.content(&disk.uuid), vhd::BLOCK);
    changed.map_or(0, |blocks| i64::try_from(blocks.len()).unwrap_or(i64::MAX))
}

/// How many VHDs the disk's chain has (`vhd-util query -d`).
fn depth(pool: &Pool, disk: &Row) -> usize {
    let parent = |row: &&Row| pool.find(Class::Vdi, row.get(PARENT));
    std::iter::successors(Some(disk), parent).count()
}

/// Prepares a clone or snapshot: the disk's VHD becomes a base copy, unless it holds nothing, of which the disk
/// and what is to be made are children. Gives back the parent of both; none if the SR copies whole disks.
pub fn branch(pool: &mut Pool, uuid: &str, snapshot: bool) -> Outcome<Option<String>> {
    let disk = pool.get(Class::Vdi, uuid)?;
    let sr = disk.get("sr-uuid").to_owned();
    let kind = kind::of(pool, &sr);
    if !kind.has_trees() {
        check_room(pool, &sr, disk.number("virtual-size"))?;
        return Ok(None);
    }
    if depth(pool, disk) >= vhd::LONGEST_CHAIN {
        return Err(backend(109, "The snapshot chain is too long"));
    }
    let own = own_blocks(pool, disk);
    let stays_deflated = disk.is("is-a-snapshot") && (!snapshot || attached(pool, uuid).is_empty());
    if kind == Kind::Thick {
        check_room(pool, &sr, wanted(pool, disk, own, snapshot, stays_deflated))?;
    }
    let parent = disk.get(PARENT).to_owned();
    let row = pool.edit(Class::Vdi, uuid)?;
    row.set(DEFLATED, if stays_deflated { "true" } else { "" });
    if own == 0 && !parent.is_empty() {
        return Ok(Some(parent));
    }
    let base = base_copy(pool, uuid)?;
    adopt(pool, uuid, &base)?;
    Ok(Some(base))
}

/// What a volume group must have left: the disk's volume shrinks to its data and two more are made
/// (`LVHDSR.py` `_snapshot`).
fn wanted(pool: &Pool, disk: &Row, own: i64, snapshot: bool, stays_deflated: bool) -> i64 {
    let (empty, full) = (vhd::shrunk_volume(0), vhd::volume(disk.number("virtual-size")));
    let again = if stays_deflated { empty } else { full };
    let made = if snapshot { empty } else { full };
    again + made + vhd::JOURNALS - (utilisation(pool, disk) - vhd::shrunk_volume(own))
}

/// A record of what the disk holds now.
fn base_copy(pool: &mut Pool, uuid: &str) -> Outcome<String> {
    let disk = pool.get(Class::Vdi, uuid)?.clone();
    let mut base = Row::new(Class::Vdi, pool.new_uuid());
    base.set("name-label", "base copy");
    for name in ["sr-uuid", "virtual-size", PARENT] {
        base.set(name, disk.get(name).to_owned());
    }
    base.set("location", base.uuid.clone());
    base.set("managed", "false");
    base.set("read-only", "true");
    let made = base.uuid.to_string();
    pool.insert(base);
    pool.bytes.push(Bytes::Copy(uuid.to_owned(), made.clone()));
    Ok(made)
}

/// Makes the disk a child of this one; of none if it is empty.
pub fn adopt(pool: &mut Pool, uuid: &str, parent: &str) -> Outcome<()> {
    let row = pool.edit(Class::Vdi, uuid)?;
    if parent.is_empty() {
        row.take("sm-config", "vhd-parent");
    } else {
        row.put("sm-config", "vhd-parent", parent.to_owned());
    }
    Ok(())
}

/// A child of this base copy has gone: the base goes too if none is left, and becomes one with the only one that
/// is. On a real SR that takes its time.
pub fn coalesce(pool: &mut Pool, base: &str) -> Outcome<()> {
    let Some(row) = pool.find(Class::Vdi, base).filter(|row| !row.is("managed")) else { return Ok(()) };
    let above = row.get(PARENT).to_owned();
    let children = pool.referring_uuids(Class::Vdi, PARENT, base);
    if children.len() > 1 {
        return Ok(());
    }
    for child in &children {
        adopt(pool, child, &above)?;
    }
    pool.remove(Class::Vdi, base);
    pool.bytes.push(Bytes::Delete(base.to_owned()));
    if children.is_empty() { coalesce(pool, &above) } else { Ok(()) }
}

/// The disk's VHD goes out of its tree.
pub fn leave(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let parent = pool.get(Class::Vdi, uuid)?.get(PARENT).to_owned();
    if parent.is_empty() {
        return Ok(());
    }
    adopt(pool, uuid, "")?;
    coalesce(pool, &parent)
}
