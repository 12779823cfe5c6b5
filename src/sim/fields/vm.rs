//! Fields of VMs, templates and snapshots (xapi `records.ml` `vm_record`).

use super::vm_memory;
use super::vm_set as set;
use super::{
    Field, Get, Members, NOWHERE, Pairs, Set, as_text, checked_map, mro, mrw, referring, ro, rw, sro, srw,
};
use crate::sim::guest;
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, invalid_value};
use crate::sim::row::{Class, Row};
use crate::sim::storage;
use crate::sim::task;

/// The table.
pub const VM: &[Field] = &[
    ro("uuid", Get::Kept),
    rw("name-label", Get::Kept, Set::Text),
    rw("name-description", Get::Kept, Set::Text),
    rw("user-version", Get::Kept, Set::Integer),
    rw("is-a-template", Get::Kept, Set::Own(set::is_a_template)),
    rw("is-default-template", Get::Kept, Set::Flag),
    ro("is-a-snapshot", Get::Kept),
    ro("snapshot-of", Get::Uuid(Class::Vm)),
    ro("snapshots", Get::Made(|pool, row| newest_first(pool, "snapshot-of", row))),
    ro("snapshot-time", Get::Kept),
    ro("snapshot-info", Get::Made(|_, row| as_text(row.entries("snapshot-info")))),
    ro("parent", Get::Uuid(Class::Vm)),
    ro("children", Get::Made(|pool, row| newest_first(pool, "parent", row))),
    ro("is-control-domain", Get::Kept),
    ro("power-state", Get::Kept),
    ro("memory-actual", Get::Kept),
    ro("memory-target", Get::Made(|_, row| memory_target(row))).expensive(),
    ro("memory-overhead", Get::Made(|_, row| lifecycle::overhead(row).to_string())),
    rw("memory-static-max", Get::Kept, Set::Own(vm_memory::static_max)),
    rw("memory-dynamic-max", Get::Kept, Set::Own(vm_memory::dynamic_max)),
    rw("memory-dynamic-min", Get::Kept, Set::Own(vm_memory::dynamic_min)),
    rw("memory-static-min", Get::Kept, Set::Own(vm_memory::static_min)),
    rw("suspend-VDI-uuid", Get::Uuid(Class::Vdi), Set::Own(set::suspend_vdi)),
    rw("suspend-SR-uuid", Get::Uuid(Class::Sr), Set::Own(set::suspend_sr)),
    checked_map("VCPUs-params", vcpus_params),
    rw("VCPUs-max", Get::Kept, Set::Own(set::vcpus_max)),
    rw("VCPUs-at-startup", Get::Kept, Set::Own(set::vcpus_at_startup)),
    rw("actions-after-shutdown", Get::Kept, Set::Own(set::actions_after_shutdown)),
    rw("actions-after-softreboot", Get::Kept, Set::Own(set::actions_after_softreboot)),
    rw("actions-after-reboot", Get::Kept, Set::Own(set::actions_after_reboot)),
    rw("actions-after-crash", Get::Kept, Set::Own(set::actions_after_crash)),
    sro("console-uuids", Members::Made(|pool, row| referring(pool, Class::Console, "vm-uuid", row))),
    ro("hvm", Get::Kept),
    mrw("platform"),
    sro("allowed-operations", Members::Made(lifecycle::allowed_operations)),
    sro("current-operations", Members::Made(task::current_operations)),
    checked_map("blocked-operations", blocked_operations),
    sro("allowed-VBD-devices", Members::Made(free_vbd_devices)).expensive(),
    sro("allowed-VIF-devices", Members::Made(free_vif_devices)).expensive(),
    ro("possible-hosts", Get::Made(lifecycle::possible_hosts)).expensive(),
    rw("domain-type", Get::Kept, Set::Own(set::domain_type)),
    ro("current-domain-type", Get::Kept),
    rw("HVM-boot-policy", Get::Kept, Set::Own(set::hvm_boot_policy)),
    mrw("HVM-boot-params"),
    rw("HVM-shadow-multiplier", Get::Kept, Set::Own(vm_memory::shadow_multiplier)),
    mrw("NVRAM").hidden(),
    rw("PV-kernel", Get::Kept, Set::Text),
    rw("PV-ramdisk", Get::Kept, Set::Text),
    rw("PV-args", Get::Kept, Set::Text),
    rw("PV-legacy-args", Get::Kept, Set::Text),
    rw("PV-bootloader", Get::Kept, Set::Text),
    rw("PV-bootloader-args", Get::Kept, Set::Text),
    ro("last-boot-CPU-flags", Get::Made(|_, row| cpu_flags(row))),
    ro("last-boot-record", Get::Always("''")).expensive(),
    ro("resident-on", Get::Uuid(Class::Host)),
    rw("affinity", Get::Uuid(Class::Host), Set::Uuid(Class::Host)),
    mrw("other-config"),
    ro("dom-id", Get::Kept),
    ro("recommendations", Get::Kept),
    mrw("xenstore-data"),
    rw("ha-always-run", Get::Kept, Set::Flag).deprecated(),
    rw("ha-restart-priority", Get::Kept, Set::Own(set::ha_restart_priority)),
    ro("blobs", Get::Always("")),
    ro("start-time", Get::Kept),
    ro("install-time", Get::Kept),
    ro("VCPUs-number", Get::Kept),
    mro("VCPUs-utilisation", Pairs::Made(|_, row| Some(guest::vcpus_utilisation(row)))).expensive(),
    mro("os-version", Pairs::Made(guest::os_version)),
    mro("netbios-name", Pairs::Made(|_, row| guest::is_known(row).then(Vec::new))),
    mro("PV-drivers-version", Pairs::Made(guest::drivers_version)),
    ro("PV-drivers-up-to-date", Get::Made(|_, row| guest::tells(row, "true", "false"))).deprecated(),
    mro("memory", Pairs::Made(|_, row| guest::is_known(row).then(Vec::new))),
    mro("disks", Pairs::Made(|_, row| guest::is_known(row).then(Vec::new))),
    sro("VBDs", Members::Made(|pool, row| referring(pool, Class::Vbd, "vm-uuid", row))),
    mro("networks", Pairs::Made(guest::networks)),
    ro("PV-drivers-detected", Get::Made(|_, row| guest::tells(row, "true", "false"))),
    mro("other", Pairs::Made(guest::features)),
    ro("live", Get::Made(|_, row| guest::tells(row, "true", "true"))),
    ro("guest-metrics-last-updated", Get::Made(|_, row| guest::updated(row))),
    ro("can-use-hotplug-vbd", Get::Made(|_, row| guest::tells(row, "unspecified", "unspecified"))),
    ro("can-use-hotplug-vif", Get::Made(|_, row| guest::tells(row, "unspecified", "unspecified"))),
    ro("cooperative", Get::Always("true")).expensive().deprecated(),
    srw("tags", ", ", false),
    rw("appliance", Get::Always(NOWHERE), Set::Own(|_, _, value| no_such("VM_appliance", value))),
    rw("groups", Get::Always(""), Set::Own(|_, _, value| no_such("VM_group", value))),
    rw("snapshot-schedule", Get::Always(NOWHERE), Set::Own(|_, _, value| no_such("VMSS", value))),
    ro("is-vmss-snapshot", Get::Kept),
    rw(
        "start-delay",
        Get::Kept,
        Set::Own(|pool, uuid, value| set::not_negative(pool, uuid, "start-delay", value)),
    ),
    rw(
        "shutdown-delay",
        Get::Kept,
        Set::Own(|pool, uuid, value| set::not_negative(pool, uuid, "shutdown-delay", value)),
    ),
    rw("order", Get::Kept, Set::Own(|pool, uuid, value| set::not_negative(pool, uuid, "order", value))),
    ro("version", Get::Kept),
    ro("generation-id", Get::Kept),
    ro("hardware-platform-version", Get::Kept),
    rw("has-vendor-device", Get::Kept, Set::Flag),
    ro("requires-reboot", Get::Kept),
    ro("reference-label", Get::Kept),
    mro("bios-strings", Pairs::Kept),
    ro("pending-guidances", Get::Always("")),
    ro("vtpms", Get::Made(|pool, row| referring(pool, Class::Vtpm, "vm-uuid", row).join("; "))),
    ro("pending-guidances-recommended", Get::Always("")),
    ro("pending-guidances-full", Get::Always("")),
];

/// The uuids of the snapshots or children of a VM, the newest first.
fn newest_first(pool: &Pool, name: &'static str, row: &Row) -> String {
    let mut rows = pool.referring(Class::Vm, name, &row.uuid);
    rows.sort_by_key(|row| std::cmp::Reverse((row.get("snapshot-time"), row.number("sim-order"))));
    rows.iter().map(|row| row.uuid.as_ref()).collect::<Vec<_>>().join("; ")
}

fn memory_target(row: &Row) -> String {
    match row.get("power-state") {
        "running" | "paused" => row.get("memory-target").to_owned(),
        _ => "0".to_owned(),
    }
}

fn cpu_flags(row: &Row) -> String {
    if row.get("start-time") == crate::sim::row::EPOCH {
        return String::new();
    }
    "vendor: GenuineIntel; features: ".to_owned()
}

/// The devices up to `limit` that no VBD or VIF of the VM has.
fn free_vbd_devices(pool: &Pool, row: &Row) -> Vec<String> {
    storage::free_devices(row, &pool.referring(Class::Vbd, "vm-uuid", &row.uuid))
}

fn free_vif_devices(pool: &Pool, row: &Row) -> Vec<String> {
    let taken = pool.referring(Class::Vif, "vm-uuid", &row.uuid);
    let is_free = |device: &String| taken.iter().all(|row| row.get("device") != device);
    (0..7).map(|device| device.to_string()).filter(is_free).collect()
}

fn vcpus_params(_: &Pool, key: &str, _: &str) -> Outcome<()> {
    match key {
        "weight" | "cap" | "mask" => Ok(()),
        _ => {
            Err(Fail::Record(format!("Failed to add parameter '{key}': expecting 'weight','cap' or 'mask'")))
        }
    }
}

fn blocked_operations(_: &Pool, key: &str, _: &str) -> Outcome<()> {
    if lifecycle::OPERATIONS.contains(&key) { Ok(()) } else { Err(invalid_value("blocked_operation", key)) }
}

/// The simulator has no objects of such a class.
fn no_such(class: &str, value: &str) -> Outcome<()> {
    use crate::sim::refuse::{Param, refused};
    if value.is_empty() {
        return Ok(());
    }
    Err(refused("UUID_INVALID", vec![Param::text(class), Param::text(value)]))
}
