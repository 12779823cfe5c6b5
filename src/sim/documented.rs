//! The sentences that `xe` prints for XAPI's error codes, and the names of their parameters, as recorded sessions have
//! them. All other codes are printed as `xe` prints those that it has no sentence for: with the code itself.

/// Code, sentence, names of the parameters.
type Documented = (&'static str, &'static str, &'static [&'static str]);

/// The sentence and the names of the parameters of a code, where a recorded session has them.
pub fn documented(code: &str) -> Option<&'static Documented> {
    DOCUMENTED.iter().find(|(known, _, _)| *known == code)
}

#[rustfmt::skip]
const DOCUMENTED: &[Documented] = &[
    ("DEVICE_ALREADY_ATTACHED", "The device is already attached to a VM", &["device"]),
    ("DEVICE_ALREADY_DETACHED", "The device is not currently attached", &["device"]),
    ("DEVICE_ALREADY_EXISTS", "A device with the name given already exists on the selected VM", &["device"]),
    ("DOMAIN_EXISTS", "The operation could not be performed because a domain still exists for the specified VM.", &["vm", "domid"]),
    ("HOST_DISABLED", "The specified server is disabled.", &["host"]),
    ("HOST_IS_SLAVE", "You cannot make regular API calls directly on a supporter. Please pass API calls via the coordinator host.", &["Master IP address"]),
    ("HOST_NOT_ENOUGH_FREE_MEMORY", "Not enough server memory is available to perform this operation.", &["needed", "available"]),
    ("INTERNAL_ERROR", "The server failed to handle your request, due to an internal error. The given message may give details useful for debugging the problem.", &["message"]),
    ("INVALID_DEVICE", "The device name is invalid", &["device"]),
    ("INVALID_IP_ADDRESS_SPECIFIED", "A required parameter contained an invalid IP address", &["parameter"]),
    ("INVALID_VALUE", "The value given is invalid", &["field", "value"]),
    ("LICENSE_RESTRICTION", "This operation is not allowed because your license lacks a needed feature. Please contact your support representative.", &["feature"]),
    ("MAC_INVALID", "The MAC address specified is not valid.", &["MAC"]),
    ("MAP_DUPLICATE_KEY", "You tried to add a key-value pair to a map, but that key is already there.", &["type", "param_name", "uuid", "key"]),
    ("MEMORY_CONSTRAINT_VIOLATION_ORDER", "The dynamic memory range violates constraint static_min <= dynamic_min <= dynamic_max <= static_max.", &[]),
    ("MESSAGE_REMOVED", "This function is no longer available.", &[]),
    ("NO_HOSTS_AVAILABLE", "There were no servers available to complete the specified operation.", &[]),
    ("OPERATION_NOT_ALLOWED", "You attempted an operation that was not allowed.", &["reason"]),
    ("UUID_INVALID", "The uuid you supplied was invalid.", &["type", "uuid"]),
    ("VBD_IS_EMPTY", "Operation could not be performed because the drive is empty", &["vbd"]),
    ("VBD_NOT_EMPTY", "Operation could not be performed because the drive is not empty", &["vbd"]),
    ("VDI_COPY_FAILED", "The VDI copy action has failed", &[]),
    ("VDI_IN_USE", "This operation cannot be performed because this VDI is in use by some other operation", &["vdi", "operation"]),
    ("VDI_NEEDS_VM_FOR_MIGRATE", "Cannot migrate a VDI which is not attached to a running VM.", &["vdi"]),
    ("VM_BAD_POWER_STATE", "You attempted an operation on a VM that was not in an appropriate power state at the time; for example, you attempted to start a VM that was already running. The parameters returned are the VM's handle, and the expected and actual VM state at the time of the call.", &["vm", "expected", "actual"]),
    ("VM_LACKS_FEATURE", "You attempted an operation on a VM which lacks the feature.", &["vm"]),
    ("VM_NO_EMPTY_CD_VBD", "The VM has no empty CD drive (VBD).", &["vm"]),
];
