//! Copies of a VM's record, with its devices (xapi `xapi_vm_clone.ml`).

use super::{How, copy_vbds, copy_vifs};
use crate::sim::guest;
use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, EPOCH, Row};
use crate::sim::verbs::vtpm;

/// Copies a VM; gives back the new one's uuid.
pub fn copy_vm(pool: &mut Pool, from: &str, name: &str, how: How, ignored: &[String]) -> Outcome<String> {
    let snapshot = matches!(how, How::Snapshot { .. });
    let source = pool.get(Class::Vm, from)?;
    let mut vm = source.clone();
    let (default, base) = (vm.is("is-default-template"), vm.get("name-label").to_owned());
    vm.uuid = pool.new_uuid().into();
    let uuid = vm.uuid.to_string();
    halt(&mut vm);
    forget_snapshot(&mut vm);
    vm.set("name-label", name.to_owned());
    vm.set("is-default-template", "false");
    vm.take_all("blocked-operations");
    if !snapshot {
        vm.take("other-config", "default_template");
        if vm.entry("other-config", "mac_seed").is_some() {
            vm.set("other-config:mac_seed", pool.new_uuid());
        } else {
            vm.put("other-config", "mac_seed", pool.new_uuid());
        }
        vm.set("parent", "");
        if default {
            vm.put("other-config", "base_template_name", base);
        }
        for name in ["sim-guest", "sim-guest-number", "sim-guest-updated", "sim-guest-ip"] {
            vm.set(name, "");
        }
        vm.set("start-time", EPOCH);
    }
    if how == (How::Snapshot { checkpoint: true }) {
        guest::hush(&mut vm, pool.now());
    }
    pool.insert(vm);
    copy_vbds(pool, from, &uuid, how, ignored)?;
    copy_vifs(pool, from, &uuid, snapshot)?;
    vtpm::copy(pool, from, &uuid);
    Ok(uuid)
}

/// The row of a VM that has no domain.
fn halt(vm: &mut Row) {
    vm.set("power-state", "halted");
    vm.set("resident-on", "");
    vm.set("dom-id", "-1");
    vm.set("memory-actual", "0");
    vm.set("memory-target", "0");
    vm.set("VCPUs-number", "0");
    vm.set("hvm", "false");
    vm.set("current-domain-type", "unspecified");
    vm.set("suspend-VDI-uuid", "");
}

/// A copy of a snapshot is none itself.
pub fn forget_snapshot(vm: &mut Row) {
    vm.set("is-a-snapshot", "false");
    vm.set("snapshot-of", "");
    vm.set("snapshot-time", EPOCH);
    vm.take_all("snapshot-info");
    for name in ["sim-order", "sim-was-name", "sim-was-description", "sim-was-template", "sim-was-suspend-sr"]
    {
        vm.set(name, "");
    }
}
