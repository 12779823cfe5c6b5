//! XAPI's snapshots of VMs, with or without their memory.

use super::{Call, PowerState, Record, Uuid, Xe, call};
use crate::report::Result;

const FIELDS: [&str; 6] =
    ["uuid", "power-state", "snapshot-of", "memory-dynamic-max", "VCPUs-at-startup", "other-config"];

/// A snapshot as the pool has it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub uuid: Uuid,
    /// Whether it holds the VM's memory; XAPI calls such a one a checkpoint.
    pub has_memory: bool,
    /// The VM it was taken of; none once that is gone.
    pub of: Option<Uuid>,
    /// The VM's size when it was taken.
    pub memory_bytes: u64,
    pub vcpus: u32,
    other_config: String,
}

impl Snapshot {
    fn read(record: &Record<'_>) -> Result<Snapshot> {
        Ok(Snapshot {
            uuid: record.get("uuid")?,
            has_memory: record.get::<PowerState>("power-state")? == PowerState::Suspended,
            of: record.optional("snapshot-of")?,
            memory_bytes: record.get("memory-dynamic-max")?,
            vcpus: record.get("VCPUs-at-startup")?,
            other_config: record.text("other-config").to_owned(),
        })
    }

    /// The value under this key of its `other-config`.
    pub fn other_config(&self, key: &str) -> Option<&str> {
        super::record::map_value(&self.other_config, key)
    }

    /// The snapshot with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Snapshot>> {
        Ok(xe.list("snapshot", &FIELDS, &[("uuid", &uuid.to_string())], Snapshot::read)?.pop())
    }

    /// The snapshots of a VM.
    pub fn of_vm(xe: &Xe, vm: &Uuid) -> Result<Vec<Snapshot>> {
        xe.list("snapshot", &FIELDS, &[("snapshot-of", &vm.to_string())], Snapshot::read)
    }

    /// The snapshots of a VM that have this name-label.
    pub fn named(xe: &Xe, vm: &Uuid, name: &str) -> Result<Vec<Snapshot>> {
        let filters = [("snapshot-of", &*vm.to_string()), ("name-label", name)];
        xe.list("snapshot", &FIELDS, &filters, Snapshot::read)
    }
}

/// Takes a snapshot of a running VM with its memory; the guest stands still until it is written, and must help.
pub fn checkpoint(vm: &Uuid, name_label: &str) -> Call {
    call("vm-checkpoint").set("uuid", vm).set("new-name-label", name_label)
}

/// Takes a snapshot of a VM's disks.
pub fn snapshot(vm: &Uuid, name_label: &str) -> Call {
    call("vm-snapshot").set("uuid", vm).set("new-name-label", name_label)
}

/// Notes something in its `other-config`.
pub fn note(snapshot: &Uuid, key: &str, value: &str) -> Call {
    call("snapshot-param-set").set("uuid", snapshot).set(format!("other-config:{key}"), value)
}

/// Makes the VM what it was, halted or with the memory suspended. Its VDIs go, and copies of the snapshot's
/// take their place (xapi xapi_vm_snapshot.ml `revert`).
pub fn revert(snapshot: &Uuid) -> Call {
    call("snapshot-revert").set("snapshot-uuid", snapshot)
}

/// Removes a snapshot with its VDIs and its memory.
pub fn uninstall(snapshot: &Uuid) -> Call {
    call("snapshot-uninstall").set("snapshot-uuid", snapshot).set("force", true)
}
