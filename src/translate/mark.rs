//! What marks the pool's objects as ours: OpenNebula's ids in `other-config`, and tags on VDIs, which take
//! no `other-config` when they are made.
//!
//! A user of the pool may copy a VM or a VDI with all its marks. A VM's mark therefore names the VM's own
//! uuid, and only a VM whose mark is its own is ours; a VDI's tag names the VM it was made for.

use crate::one;
use crate::xe::{Uuid, network, vbd, vm};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// OpenNebula's number of the VM; on VMs, VBDs and VIFs.
pub const VM_ID: &str = "one_vm_id";
/// The VM's own uuid.
pub const VM_UUID: &str = "one_vm_uuid";
/// The uuid of the halted VM whose disks this one has taken over.
pub const REPLACES: &str = "one_replaces";
/// The system datastore's number.
pub const DS_ID: &str = "one_ds_id";
/// The uuid that OpenNebula keeps for the VM's machine (OS/UUID).
pub const OS_UUID: &str = "one_os_uuid";
/// OpenNebula's number of the disk; on VBDs, set only once the disk's bytes are all in its VDI.
pub const DISK_ID: &str = "one_disk_id";
/// OpenNebula's number of the image that the disk was made from, if any: DISK_IDs are given anew to other disks.
pub const IMAGE_ID: &str = "one_image_id";
/// `file` or `vdi`: who owns the VDI behind a VBD.
pub const ORIGIN: &str = "one_origin";
/// Size and time of change of the image file that a VDI was filled from.
pub const FILE_STAMP: &str = "one_file";
/// OpenNebula's number of the NIC.
pub const NIC_ID: &str = "one_nic_id";
/// XAPI's own mark for "this VDI goes with its VM" (xapi constants.ml `owner_key`).
pub const OWNER: &str = "owner";

/// `one-7`: the VM's name-label.
pub fn vm_name(vm_id: u32) -> String {
    format!("one-{vm_id}")
}

/// What the VM is called until it has its mark: a name that nobody gives a VM of his own.
pub fn unmarked_vm_name(vm_id: u32) -> String {
    format!("one-{vm_id}-being-made")
}

/// `one-7-disk-0`: the name-label of a VDI that was made for a VM's disk.
pub fn vdi_name(vm_id: u32, disk_id: u32) -> String {
    format!("one-{vm_id}-disk-{disk_id}")
}

/// `one-7-snapshot-0`: the name-label of a VM's snapshot.
pub fn vm_snapshot_name(vm_id: u32, snapshot_id: u32) -> String {
    format!("one-{vm_id}-snapshot-{snapshot_id}")
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

/// The tags of a VDI that is made for a VM's disk.
pub fn vdi_tags(vm: &Uuid, vm_id: u32, disk_id: u32) -> Vec<String> {
    vec![vdi_tag(vm), vdi_name(vm_id, disk_id)]
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

/// OpenNebula's number of the VM that goes by [`unmarked_vm_name`].
pub fn vm_id_of_unmarked(name: &str) -> Option<u32> {
    name.strip_prefix("one-")?.strip_suffix("-being-made")?.parse().ok()
}

/// The disk that a VDI with these tags was made for.
pub fn disk_id_of_vdi(vm_id: u32, tags: &[String]) -> Option<u32> {
    let start = format!("{}-disk-", vm_name(vm_id));
    tags.iter().find_map(|tag| tag.strip_prefix(&start)?.parse().ok())
}

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

fn this_attempt() -> String {
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

/// The name-label and tag of the clone that a disk's backup is made from.
pub fn backup_name(vm_id: u32, disk_id: u32) -> String {
    format!("one-{vm_id}-backup-of-disk-{disk_id}")
}

/// The VM of such a clone.
pub fn vm_id_of_backup(name: &str) -> Option<u32> {
    let (vm_id, disk_id) = name.strip_prefix("one-")?.split_once("-backup-of-disk-")?;
    disk_id.parse::<u32>().ok()?;
    vm_id.parse().ok()
}

/// The name of a clone of a VDI in use, which is there only to be copied.
pub fn still_name(name: &str) -> String {
    format!("{name}-still")
}

/// What the VDI is called that is made out of the one with this name.
pub fn name_of_still(name: &str) -> Option<&str> {
    name.strip_suffix("-still")
}

/// `one-7-backup-of-disk-0-increment-3`: the snapshot from which this increment of a disk's backup is made, and the
/// next one told.
pub fn increment_name(vm_id: u32, disk_id: u32, number: u32) -> String {
    format!("{}-increment-{number}", backup_name(vm_id, disk_id))
}

/// The VM of such a snapshot.
pub fn vm_id_of_increment(name: &str) -> Option<u32> {
    let (backup, number) = name.split_once("-increment-")?;
    number.parse::<u32>().ok()?;
    vm_id_of_backup(backup)
}

/// OpenNebula's number of the VM; on the snapshots that its incremental backups are made from.
pub const INCREMENT_OF: &str = "one_increment_of";

/// What a VDI is called that is about to take the place of another. It has no say before the other is gone.
pub fn successor_name(key: &Uuid) -> String {
    format!("one-successor-of-{key}")
}

/// Whose place the VDI with this name is to take.
pub fn succeeds(name: &str) -> Option<Uuid> {
    name.strip_prefix("one-successor-of-")?.parse().ok()
}

/// Whether a VDI was made for a VM by its deployment, out of an image file.
pub fn is_of_deployment(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag.starts_with("one-vm-"))
}

/// The marks of a VM, as `vm-param-set` takes them.
pub fn vm_marks(vm: &one::Vm, uuid: &Uuid, replaces: Option<&Uuid>) -> Vec<(String, String)> {
    let mut marks = vec![(VM_ID, vm.vm_id.to_string()), (VM_UUID, uuid.to_string())];
    marks.extend(replaces.map(|replaces| (REPLACES, replaces.to_string())));
    marks.extend(vm.ds_id.map(|ds_id| (DS_ID, ds_id.to_string())));
    let os_uuid = vm.section("OS").text("UUID").parse::<Uuid>();
    marks.extend(os_uuid.ok().map(|os_uuid| (OS_UUID, os_uuid.to_string())));
    in_other_config(marks)
}

/// The marks of a VBD whose VDI holds all of `disk_id`.
pub fn vbd_marks(
    vm_id: u32,
    disk_id: u32,
    image_id: Option<u32>,
    origin: &one::disk::Origin,
    stamp: &str,
) -> Vec<(String, String)> {
    let mut marks = vec![(VM_ID, vm_id.to_string()), (DISK_ID, disk_id.to_string())];
    marks.extend(image_id.map(|image_id| (IMAGE_ID, image_id.to_string())));
    match origin {
        one::disk::Origin::File => {
            marks.extend([
                (ORIGIN, "file".to_owned()),
                (FILE_STAMP, stamp.to_owned()),
                (OWNER, String::new()),
            ]);
        }
        one::disk::Origin::Vdi => marks.push((ORIGIN, "vdi".to_owned())),
    }
    in_other_config(marks)
}

/// The marks of a VIF.
pub fn vif_marks(vm_id: u32, nic_id: u32) -> Vec<(String, String)> {
    in_other_config(vec![(VM_ID, vm_id.to_string()), (NIC_ID, nic_id.to_string())])
}

fn in_other_config(marks: Vec<(&str, String)>) -> Vec<(String, String)> {
    marks.into_iter().map(|(key, value)| (format!("other-config:{key}"), value)).collect()
}

/// Whether the VM, or the one that it was copied from, was made for OpenNebula.
pub fn is_marked(vm: &vm::Vm) -> bool {
    vm.other_config(VM_ID).is_some()
}

/// Whether the VM is the one that was made for OpenNebula's VM, and not a copy of it.
pub fn is_original(vm: &vm::Vm) -> bool {
    vm.other_config(VM_UUID) == Some(vm.uuid.to_string().as_str())
}

/// Whether `newer` was made to take the place of `older`.
pub fn replaces(newer: &vm::Vm, older: &Uuid) -> bool {
    newer.other_config(REPLACES) == Some(older.to_string().as_str())
}

/// The disk whose bytes are all in this VBD's VDI.
pub fn disk_id(vbd: &vbd::Vbd) -> Option<u32> {
    vbd.other_config(DISK_ID)?.parse().ok()
}

/// The image that this VBD's VDI was made from.
pub fn image_id(vbd: &vbd::Vbd) -> Option<u32> {
    vbd.other_config(IMAGE_ID)?.parse().ok()
}

/// Whether the VBD was made for this disk: the same DISK_ID may be another image's by now.
pub fn is_of(vbd: &vbd::Vbd, disk: &one::Disk) -> bool {
    disk_id(vbd) == Some(disk.disk_id) && image_id(vbd) == disk.image_id
}

/// Whether the VDI behind the VBD was made for the VM and goes with it.
pub fn goes_with_vm(vbd: &vbd::Vbd) -> bool {
    vbd.other_config(ORIGIN) == Some("file")
}

/// The NIC that this VIF is.
pub fn nic_id(vif: &network::Vif) -> Option<u32> {
    vif.other_config(NIC_ID)?.parse().ok()
}
