//! Copies of one disk (xapi `xapi_vdi.ml`).

use super::How;
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, EPOCH};
use crate::sim::storage::kind::{self, Kind};
use crate::sim::storage::{self, Op};

/// Copies a disk; gives back the new VDI's uuid.
pub fn copy_disk(pool: &mut Pool, vdi: &str, how: How) -> Outcome<String> {
    let source = pool.get(Class::Vdi, vdi)?;
    let sr = match how {
        How::Copy(Some(sr)) => sr.to_owned(),
        _ => source.get("sr-uuid").to_owned(),
    };
    let mut row = source.clone();
    let parent = match how {
        How::Copy(_) => {
            storage::check_new(pool, &sr, source.number("virtual-size"))?;
            None
        }
        How::Clone => {
            storage::check(pool, source, Op::Clone)?;
            storage::branch(pool, vdi, false)?
        }
        How::Snapshot { .. } => {
            storage::check(pool, source, Op::Snapshot)?;
            storage::branch(pool, vdi, true)?
        }
    };
    row.uuid = pool.new_uuid().into();
    row.set("location", row.uuid.clone());
    row.set("sr-uuid", sr);
    row.set("is-a-snapshot", "false");
    row.set("snapshot-of", "");
    row.set("snapshot-time", EPOCH);
    row.set("managed", "true");
    row.set(storage::DEFLATED, "");
    storage::tracking::forget(&mut row);
    // Only a full copy keeps the tags (xapi_vdi.ml `copy`).
    if !matches!(how, How::Copy(_)) {
        row.take_all("tags");
    }
    match how {
        How::Clone => row.set("snapshot-time", pool.now()),
        How::Snapshot { .. } => {
            row.set("is-a-snapshot", "true");
            row.set("snapshot-of", vdi.to_owned());
            row.set("snapshot-time", pool.now());
            let sr = row.get("sr-uuid");
            row.set(storage::DEFLATED, (kind::of(pool, sr) == Kind::Thick).to_string());
        }
        How::Copy(_) => {
            // The mark by which XAPI knows that two disks hold the same.
            if row.entry("other-config", "content_id").is_none() {
                let content = pool.new_uuid();
                row.put("other-config", "content_id", content.clone());
                pool.edit(Class::Vdi, vdi)?.put("other-config", "content_id", content);
            }
            row.take_all("sm-config");
        }
    }
    let uuid = row.uuid.to_string();
    pool.bytes.push(Bytes::Copy(vdi.to_owned(), uuid.clone()));
    pool.insert(row);
    if let Some(parent) = parent {
        storage::adopt(pool, &uuid, &parent)?;
    }
    if matches!(how, How::Snapshot { .. }) {
        storage::tracking::snapshot(pool, vdi, &uuid)?;
    }
    Ok(uuid)
}
