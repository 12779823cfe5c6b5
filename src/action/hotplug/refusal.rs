//! XAPI's refusals to plug devices, in words that tell what to do. Found by code; the words for people come
//! after it.

use crate::xe::xe_error;

const REFUSALS: [(&[&str], &str); 8] = [
    (&["VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS", "VM_NO_PV_DRIVERS", "VM_LACKS_FEATURE"], NO_PV_DRIVERS),
    (
        &["DEVICE_DETACH_REJECTED", "DEVICE_DETACH_TIMEOUT"],
        "the guest does not let go of the device: it must stop using it first (unmount the disk there)",
    ),
    (&["DEVICE_ATTACH_TIMEOUT"], "the guest did not take the device in time"),
    (&["VDI_IN_USE"], "another VM has the disk"),
    (
        &["VM_REQUIRES_SR"],
        "the VM's host does not see the storage of the disk: set DEFAULT_SR to one that it sees",
    ),
    (
        &["VM_REQUIRES_NET", "CANNOT_PLUG_VIF", "HOST_CANNOT_ATTACH_NETWORK"],
        "the VM's host has no part in the network",
    ),
    (&["OPERATION_NOT_ALLOWED"], "XAPI does not allow it for this guest as it runs: power the VM off first"),
    (&["VM_BAD_POWER_STATE"], "the VM has changed its power state meanwhile"),
];

/// XAPI plugs devices into an HVM guest through its PV drivers only.
pub const NO_PV_DRIVERS: &str = "the guest has no PV drivers, and XAPI plugs nothing into or out of a running guest without: install the guest \
     tools, or power the VM off first";

/// The error with words that tell what to do.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    let words = xe_error(&error)
        .and_then(|xapi| REFUSALS.iter().find(|(codes, _)| xapi.is(codes)))
        .map(|(_, words)| *words);
    match words {
        Some(words) => error.context(words),
        None => error,
    }
}
