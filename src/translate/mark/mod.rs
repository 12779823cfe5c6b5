//! What marks the pool's objects as ours: OpenNebula's ids in `other-config`, and tags on VDIs, which take
//! no `other-config` when they are made.
//!
//! A user of the pool may copy a VM or a VDI with all its marks. A VM's mark therefore names the VM's own
//! uuid, and only a VM whose mark is its own is ours; a VDI's tag names the VM it was made for.

mod backup;
mod device;
mod image;
mod vdi;

pub use backup::*;
pub use device::*;
pub use image::*;
pub use vdi::*;

use crate::one;
use crate::xe::record::map_value;
use crate::xe::{Uuid, vm};

/// OpenNebula's number of the VM; on VMs, VBDs and VIFs.
pub const VM_ID: &str = "one_vm_id";
/// The VM's own uuid.
pub const VM_UUID: &str = "one_vm_uuid";
/// The uuid of the halted VM whose disks this one has taken over.
pub const REPLACES: &str = "one_replaces";
/// The system datastore's number.
pub const DS_ID: &str = "one_ds_id";
/// The VM's folder, on a VM with persistent disks that go back to files there.
pub const FOLDER: &str = "one_folder";

/// The mark, as `vm-param-set` takes it; none for a path that XAPI would print so that it reads as something else.
pub fn folder_mark(folder: &std::path::Path) -> Option<(String, String)> {
    let folder = folder.to_str().filter(|folder| !folder.contains([';', '\n']))?;
    Some((format!("other-config:{FOLDER}"), folder.to_owned()))
}

/// The uuid that OpenNebula keeps for the VM's machine (OS/UUID).
pub const OS_UUID: &str = "one_os_uuid";

/// The uuids of other machines' records that had the same number when this one was made.
pub const SUPERSEDES: &str = "one_supersedes";

/// Those uuids in a printed `other-config`.
pub fn supersedes(other_config: &str) -> Vec<Uuid> {
    let uuids = map_value(other_config, SUPERSEDES).unwrap_or_default();
    uuids.split(',').filter_map(|uuid| uuid.parse().ok()).collect()
}

/// On a VM that somebody else made and OpenNebula imported: as which VM.
pub const IMPORTED: &str = "one_imported";

/// Its value: the record's own uuid, which tells it from the mark of a copy, OS/UUID if there is one, and OpenNebula's
/// number.
pub fn imported(uuid: &Uuid, vm_id: u32, os_uuid: Option<&Uuid>) -> String {
    let os_uuid = os_uuid.map_or(String::new(), |os_uuid| format!("{os_uuid} "));
    format!("{uuid} {os_uuid}{vm_id}")
}

/// OpenNebula's number and OS/UUID in the mark, if it is this record's own.
pub fn imported_as<'a>(mark: &'a str, uuid: &Uuid) -> Option<(&'a str, Option<Uuid>)> {
    let marked = mark.strip_prefix(&uuid.to_string())?.trim_start();
    let (os_uuid, number) = marked.split_once(' ').unwrap_or(("", marked));
    Some((number, os_uuid.parse().ok()))
}

/// `one-7`: the VM's name-label.
pub fn vm_name(vm_id: u32) -> String {
    format!("one-{vm_id}")
}

/// What the VM is called until it has its mark: a name that nobody gives a VM of his own.
pub fn unmarked_vm_name(vm_id: u32) -> String {
    format!("one-{vm_id}-being-made")
}

/// `one-7-snapshot-0`: the name-label of a VM's snapshot.
pub fn vm_snapshot_name(vm_id: u32, snapshot_id: u32) -> String {
    format!("one-{vm_id}-snapshot-{snapshot_id}")
}

/// Whether this is a [`vm_snapshot_name`] of the VM.
pub fn is_vm_snapshot_name(vm_id: u32, name: &str) -> bool {
    let number = name.strip_prefix(&format!("{}-snapshot-", vm_name(vm_id)));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// OpenNebula's number of the VM that goes by [`unmarked_vm_name`].
pub fn vm_id_of_unmarked(name: &str) -> Option<u32> {
    name.strip_prefix("one-")?.strip_suffix("-being-made")?.parse().ok()
}

/// The marks of a VM, as `vm-param-set` takes them.
pub fn vm_marks(vm: &one::Vm, uuid: &Uuid, replaces: Option<&Uuid>) -> Vec<(String, String)> {
    let mut marks = vec![(VM_ID, vm.vm_id.to_string()), (VM_UUID, uuid.to_string())];
    marks.extend(replaces.map(|replaces| (REPLACES, replaces.to_string())));
    marks.extend(vm.ds_id.map(|ds_id| (DS_ID, ds_id.to_string())));
    marks.extend(os_uuid(vm).map(|os_uuid| (OS_UUID, os_uuid.to_string())));
    in_other_config(marks)
}

/// OS/UUID, which OpenNebula makes for each VM since 6.0; before, some templates give one.
pub fn os_uuid(vm: &one::Vm) -> Option<Uuid> {
    vm.section("OS").text("UUID").parse().ok()
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

/// Why the VM's record stays while the VM is off, in words for the VM's log.
pub fn why_kept(vm: &vm::Vm) -> &'static str {
    if vm.snapshots > 0 { "has snapshots" } else { "is protected from deletion" }
}

/// The VM that this one was made to take the place of.
pub fn replaced(newer: &vm::Vm) -> Option<Uuid> {
    newer.other_config(REPLACES)?.parse().ok()
}

/// Whether `newer` was made to take the place of `older`.
pub fn replaces(newer: &vm::Vm, older: &Uuid) -> bool {
    newer.other_config(REPLACES) == Some(older.to_string().as_str())
}
