//! Tags of VDIs that are made for a VM's disks.

use super::vm_name;
use crate::xe::Uuid;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// `one-7-disk-0`: the name-label of a VDI that was made for a VM's disk.
pub fn vdi_name(vm_id: u32, disk_id: u32) -> String {
    format!("one-{vm_id}-disk-{disk_id}")
}

/// The tag of every VDI that was made for this XAPI VM.
pub fn vdi_tag(vm: &Uuid) -> String {
    format!("one-vm-{vm}")
}

/// The tag of what one run of a driver makes: it tells that from copies, which have all other tags.
pub fn attempt_tag() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("one-attempt-{}-{}", now.as_nanos(), process::id())
}

/// Whether this is an [`attempt_tag`], and no other tag.
pub fn is_attempt_tag(tag: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = tag.strip_prefix("one-attempt-").and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(time, pid)| is_number(time) && is_number(pid))
}

/// The tags of a VDI that is made for a VM's disk.
pub fn vdi_tags(vm: &Uuid, vm_id: u32, disk_id: u32) -> Vec<String> {
    vec![vdi_tag(vm), vdi_name(vm_id, disk_id)]
}

/// The tags of a VDI that was made out of an image file, persistent or not.
pub fn vdi_tags_of_file(vm: &Uuid, vm_id: u32, disk_id: u32, is_persistent: bool) -> Vec<String> {
    let persistent = is_persistent.then(|| PERSISTENT_TAG.to_owned());
    vdi_tags(vm, vm_id, disk_id).into_iter().chain(persistent).collect()
}

/// The tag of a VDI that holds a persistent image: once its VM is terminated its last writes may be nowhere else.
pub const PERSISTENT_TAG: &str = "one-persistent";

/// The XAPI VM that a VDI with these tags was made for.
pub fn vm_of_vdi(tags: &[String]) -> Option<Uuid> {
    tags.iter().find_map(|tag| tag.strip_prefix("one-vm-")?.parse().ok())
}

/// OpenNebula's number of the VM and of the disk that a VDI with these tags was made for.
pub fn disk_of_vdi(tags: &[String]) -> Option<(u32, u32)> {
    tags.iter().find_map(|tag| {
        let (vm_id, disk_id) = tag.strip_prefix("one-")?.split_once("-disk-")?;
        Some((vm_id.parse().ok()?, disk_id.parse().ok()?))
    })
}

/// The disk that a VDI with these tags was made for.
pub fn disk_id_of_vdi(vm_id: u32, tags: &[String]) -> Option<u32> {
    let start = format!("{}-disk-", vm_name(vm_id));
    tags.iter().find_map(|tag| tag.strip_prefix(&start)?.parse().ok())
}

/// Whether a VDI was made for a VM by its deployment, out of an image file.
pub fn is_of_deployment(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag.starts_with("one-vm-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_of_an_attempt_is_one() {
        assert!(is_attempt_tag(&attempt_tag()));
        for tag in [
            "",
            "one-image-5",
            "one-attempt-",
            "one-attempt-1",
            "one-attempt-1-",
            "one-attempt--1",
            "one-attempt-1-2 ",
            "one-attempt-1-2,one-image-5",
            "one-attempt-1-2\n",
            "one-vm-1-2",
        ] {
            assert!(!is_attempt_tag(tag), "{tag:?}");
        }
    }
}
