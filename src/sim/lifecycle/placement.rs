//! Where a VM fits (xapi `xapi_vm_helpers.ml` `assert_can_boot_here`).

use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

const MIB: i64 = 1 << 20;

/// Memory that Xen and the control domain of a host take for themselves, in bytes.
const HOST_OVERHEAD: i64 = 2_167_406_592;

/// What Xen needs for a VM besides the guest's memory, in bytes: 1 MiB of its own, and for a virtual machine
/// with hardware support another for each vCPU, for its screen and for every 128 MiB of shadow.
pub fn overhead(row: &Row) -> i64 {
    let memory = row.number("memory-static-max") / MIB;
    match row.get("domain-type") {
        "hvm" => (2 + row.number("VCPUs-max") + (memory + 127) / 128) * MIB,
        _ => MIB,
    }
}

/// Free memory of a host in bytes.
pub fn free_memory(pool: &Pool, host: &Row) -> i64 {
    let guests = pool.referring(Class::Vm, "resident-on", &host.uuid);
    let used = guests.iter().filter(|vm| !vm.is("is-control-domain"));
    let used: i64 = used.map(|vm| vm.number("memory-actual") + overhead(vm)).sum();
    (host.number("memory-total") - HOST_OVERHEAD - used).max(0)
}

/// Refuses a lower limit of a running VM's memory that its host has no room for
/// (xapi `message_forwarding.ml` `reserve_memory_for_dynamic_change`).
pub fn check_room_to_grow(pool: &Pool, uuid: &str, dynamic_min: i64) -> Outcome<()> {
    let vm = pool.get(Class::Vm, uuid)?;
    let Some(host) = pool.find(Class::Host, vm.get("resident-on")) else { return Ok(()) };
    let (more, free) = (dynamic_min - vm.number("memory-dynamic-min"), free_memory(pool, host));
    if more > free {
        let params = [more, free].map(|bytes| Param::text((bytes / 1024).to_string()));
        return Err(refused("HOST_NOT_ENOUGH_FREE_MEMORY", params.into()));
    }
    Ok(())
}

/// Refuses unless the VM can run on the host: it is enabled, reaches its storage and networks, has room.
pub fn can_boot_here(pool: &Pool, uuid: &str, host: &str) -> Outcome<()> {
    let vm = pool.get(Class::Vm, uuid)?;
    let host_row = pool.get(Class::Host, host)?;
    if !host_row.is("enabled") {
        return Err(refused("HOST_DISABLED", vec![pool.param(Class::Host, host)]));
    }
    reaches(pool, uuid, host, &[])?;
    let cpus = host_row.entry("cpu_info", "cpu_count").and_then(|count| count.parse().ok()).unwrap_or(1);
    if vm.number("VCPUs-max") > cpus {
        let params = [vm.number("VCPUs-max"), cpus].map(|count| Param::text(count.to_string()));
        return Err(refused("HOST_NOT_ENOUGH_PCPUS", params.into()));
    }
    let (needed, available) = (vm.number("memory-dynamic-min") + overhead(vm), free_memory(pool, host_row));
    if needed > available {
        let params = [needed, available].map(|bytes| Param::text(bytes.to_string()));
        return Err(refused("HOST_NOT_ENOUGH_FREE_MEMORY", params.into()));
    }
    Ok(())
}

/// Refuses unless the host reaches the storage of all the VM's disks and its networks. Disks that are
/// `moving` to storage of their own do not count.
pub fn reaches(pool: &Pool, uuid: &str, host: &str, moving: &[String]) -> Outcome<()> {
    for vbd in pool.referring(Class::Vbd, "vm-uuid", uuid) {
        let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) else { continue };
        let sr = vdi.get("sr-uuid");
        if !storage::is_reachable(pool, sr, host) && !moving.iter().any(|moving| *moving == vdi.uuid) {
            return Err(refused("VM_REQUIRES_SR", vec![pool.vm_param(uuid), pool.param(Class::Sr, sr)]));
        }
    }
    for vif in pool.referring(Class::Vif, "vm-uuid", uuid) {
        let network = vif.get("network-uuid");
        if !sees(pool, network, host) {
            let params = vec![pool.vm_param(uuid), pool.param(Class::Network, network)];
            return Err(refused("VM_REQUIRES_NET", params));
        }
    }
    Ok(())
}

/// A network without a PIF is only where a running VM has a VIF on it, if there is one: the VM itself counts, too
/// (xapi_network_attach_helpers.ml `assert_can_see_named_networks`).
fn sees(pool: &Pool, network: &str, host: &str) -> bool {
    let pifs = pool.referring(Class::Pif, "network-uuid", network);
    if !pifs.is_empty() {
        return pifs.iter().any(|pif| pif.get("host-uuid") == host);
    }
    let vifs = pool.referring(Class::Vif, "network-uuid", network);
    let vms = vifs.iter().filter_map(|vif| pool.find(Class::Vm, vif.get("vm-uuid")));
    let hosts: Vec<&str> =
        vms.filter(|vm| vm.get("power-state") == "running").map(|vm| vm.get("resident-on")).collect();
    hosts.is_empty() || hosts.contains(&host)
}

/// `possible-hosts`
pub fn possible_hosts(pool: &Pool, row: &Row) -> String {
    let fits = |host: &&Row| can_boot_here(pool, &row.uuid, &host.uuid).is_ok();
    let hosts = pool.rows(Class::Host).iter().filter(fits).map(|host| host.uuid.as_ref());
    hosts.collect::<Vec<_>>().join("; ")
}

/// Why a host cannot run a VM, for the table that `vm-start` prints (xapi `print_assert_exception`).
pub fn reason(fail: &Fail) -> String {
    let said = fail.said(false).stderr;
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or("<server did not provide reference>").to_owned()
    };
    let Fail::Server { code, .. } = fail else { return said };
    match code.as_str() {
        "VM_REQUIRES_SR" => format!("VM requires access to SR: {}", value("sr")),
        "VM_REQUIRES_NET" => format!("VM requires access to network: {}", value("network")),
        "HOST_DISABLED" => "Host disabled (use 'xe host-enable' to re-enable)".into(),
        "HOST_NOT_ENOUGH_FREE_MEMORY" => "Not enough free memory".into(),
        "HOST_NOT_ENOUGH_PCPUS" => {
            format!("Not enough CPUs (VM needs {}, but host has {})", value("vcpus"), value("pcpus"))
        }
        _ => code.clone(),
    }
}
