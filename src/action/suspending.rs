//! What the actions share that need a VM's memory in a VDI, or bring it back from there.

use crate::report::Result;
use crate::xe::{Uuid, Xe, vm, xe_error};
use anyhow::Context;

/// The VM, which must be in the pool.
pub fn find(xe: &Xe, uuid: &Uuid) -> Result<vm::Vm> {
    vm::Vm::find(xe, uuid)?.with_context(|| format!("the pool has no VM {uuid}"))
}

pub fn is_not_running(vm: &vm::Vm) -> String {
    format!("VM {} is {} and not running", vm.uuid, vm.power_state)
}

/// XAPI's refusals to write a guest's memory, in words that tell what to do.
const REFUSALS: [(&[&str], &str); 5] = [
    (
        &[
            "VM_LACKS_FEATURE",
            "VM_LACKS_FEATURE_SUSPEND",
            "VM_MISSING_PV_DRIVERS",
            "VM_OLD_PV_DRIVERS",
            "VM_NO_PV_DRIVERS",
        ],
        "the guest has no running guest tools, without which XAPI does not suspend it",
    ),
    (&["VM_NON_SUSPENDABLE"], "the guest says that it cannot be suspended"),
    (
        &["VM_NO_SUSPEND_SR"],
        "the pool has no SR for memory: set one (xe pool-param-set uuid=… suspend-image-SR=…)",
    ),
    (&["VM_HAS_PCI_ATTACHED"], "the VM has a PCI device of its host"),
    (&["VM_HAS_VGPU", "VM_INCOMPATIBLE_WITH_THIS_HOST"], "the VM has a device that keeps it where it is"),
];

/// Why XAPI would not write the guest's memory, if it is one of the reasons that stay.
pub fn refusal(error: &anyhow::Error) -> Option<&'static str> {
    let xapi = xe_error(error)?;
    REFUSALS.iter().find(|(codes, _)| xapi.is(codes)).map(|(_, words)| *words)
}

/// XAPI's refusals to let a VM go on, or start it, on a host.
const NOT_HERE: [(&[&str], &str); 4] = [
    (&["VM_REQUIRES_SR"], "the host does not reach the storage of its memory or its disks"),
    (&["VM_REQUIRES_NET"], "the host has not all of its networks"),
    (&["HOST_NOT_ENOUGH_FREE_MEMORY"], "the host has not enough free memory"),
    (
        &["VM_INCOMPATIBLE_WITH_THIS_HOST", "CPU_INCOMPATIBLE"],
        "the host's CPUs lack what the guest has seen of its own host's",
    ),
];

/// Puts the reason before XAPI's words.
pub fn not_here(error: anyhow::Error, what: &str) -> anyhow::Error {
    let words = xe_error(&error)
        .and_then(|xapi| NOT_HERE.iter().find(|(codes, _)| xapi.is(codes)))
        .map_or(String::new(), |(_, words)| format!(": {words}"));
    error.context(format!("{what}{words}"))
}
