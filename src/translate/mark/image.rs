//! Tags and names of VDIs that `xcp` datastores have: images, disks, snapshots, and what is to become one.

use crate::xe::Uuid;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// The tag of a VDI that is an image of an `xcp` datastore, and its name-label.
pub fn image(image_id: u32) -> String {
    format!("one-image-{image_id}")
}

/// OpenNebula's number of the image that a VDI with these tags is.
pub fn image_of_vdi(tags: &[String]) -> Option<u32> {
    tags.iter().find_map(|tag| tag.strip_prefix("one-image-")?.parse().ok())
}

/// What a clone of an image is called until OpenNebula may be told of it.
pub fn unmade_image(image_id: u32) -> String {
    format!("one-image-{image_id}-being-made")
}

/// Whether this is such a name.
pub fn is_unmade_image(name: &str) -> bool {
    name.strip_prefix("one-image-").and_then(|rest| rest.strip_suffix("-being-made")).is_some()
}

const INCOMPLETE: &str = "one-incomplete-since-";

/// The tag of a VDI that does not hold all of its data yet: since when, in seconds since 1970, and by whom. No two
/// are the same.
pub fn incomplete_now() -> String {
    format!("{INCOMPLETE}{}", this_attempt())
}

/// Since when a VDI with these tags is being filled; none: it holds all of its data.
pub fn incomplete_since(tags: &[String]) -> Option<u64> {
    tags.iter().find_map(|tag| seconds_of(tag.strip_prefix(INCOMPLETE)?))
}

const BEGUN: &str = "made by one-xcp at ";

/// The description of a clone, which has no tags at first: when it was made, in seconds since 1970, and by whom. No
/// two are the same.
pub fn begun_now() -> String {
    format!("{BEGUN}{}", this_attempt())
}

/// When the clone with this description was made.
pub fn begun_at(description: &str) -> Option<u64> {
    seconds_of(description.strip_prefix(BEGUN)?)
}

/// The time, and who it is: no two are the same.
pub(super) fn this_attempt() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", now.as_secs(), now.subsec_nanos(), process::id())
}

fn seconds_of(attempt: &str) -> Option<u64> {
    attempt.split('-').next()?.parse().ok()
}

/// The tag of a VDI that stands for an image or disk whose own first VDI is gone: OpenNebula goes on calling
/// it by that one's uuid.
pub fn source(key: &Uuid) -> String {
    format!("one-source-{key}")
}

/// The uuid by which OpenNebula calls the image or disk, where it is another than the VDI's own.
pub fn source_of_vdi(tags: &[String]) -> Option<Uuid> {
    tags.iter().find_map(|tag| tag.strip_prefix("one-source-")?.parse().ok())
}

/// The image or disk that the snapshot with this name is of.
pub fn snapshot_key(name: &str) -> Option<Uuid> {
    let (id, key) = name.strip_prefix("one-snapshot-")?.split_once("-of-")?;
    id.parse::<u32>().ok()?;
    key.parse().ok()
}

/// The image or disk whose snapshot a VDI with these tags is.
pub fn snapshot_of(tags: &[String]) -> Option<Uuid> {
    tags.iter().find_map(|tag| tag.strip_prefix("one-snapshots-of-")?.parse().ok())
}

/// The tag of all snapshots of an image or disk.
pub fn snapshots(key: &Uuid) -> String {
    format!("one-snapshots-of-{key}")
}

/// The name-label of one of them, which it has from its first moment.
pub fn snapshot_name(key: &Uuid, snapshot_id: u32) -> String {
    format!("one-snapshot-{snapshot_id}-of-{key}")
}

/// The name of a clone of a VDI in use, which is there only to be copied.
pub fn still_name(name: &str) -> String {
    format!("{name}-still")
}

/// What the VDI is called that is made out of the one with this name.
pub fn name_of_still(name: &str) -> Option<&str> {
    name.strip_suffix("-still")
}

/// What a VDI is called that is about to take the place of another. It has no say before the other is gone.
pub fn successor_name(key: &Uuid) -> String {
    format!("one-successor-of-{key}")
}

/// Whose place the VDI with this name is to take.
pub fn succeeds(name: &str) -> Option<Uuid> {
    name.strip_prefix("one-successor-of-")?.parse().ok()
}
