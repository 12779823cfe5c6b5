//! What may be done to a VM in which state, and where it fits
//! (xapi `xapi_vm_lifecycle.ml`, `xapi_vm_helpers.ml` `assert_can_boot_here`).

use super::guest;
use super::pool::Pool;
use super::refuse::{Fail, Outcome, Param, refused};
use super::row::{Class, Row};
use super::storage;

/// Operations on VMs that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Start,
    CleanShutdown,
    HardShutdown,
    CleanReboot,
    HardReboot,
    Suspend,
    Resume,
    Pause,
    Unpause,
    PoolMigrate,
    MigrateSend,
    Clone,
    Copy,
    Snapshot,
    Checkpoint,
    Destroy,
    ChangingStaticRange,
    ChangingDynamicRange,
    MakeIntoTemplate,
}

/// The names of all operations, for `blocked-operations`.
pub const OPERATIONS: &[&str] = &[
    "changing_dynamic_range",
    "changing_static_range",
    "changing_shadow_memory",
    "clean_reboot",
    "clean_shutdown",
    "clone",
    "snapshot",
    "checkpoint",
    "copy",
    "revert",
    "provision",
    "destroy",
    "export",
    "metadata_export",
    "import",
    "hard_reboot",
    "hard_shutdown",
    "migrate_send",
    "pause",
    "resume",
    "resume_on",
    "changing_VCPUs_live",
    "changing_NVRAM",
    "start",
    "start_on",
    "shutdown",
    "suspend",
    "unpause",
    "make_into_template",
    "pool_migrate",
    "power_state_reset",
    "create_vtpm",
];

impl Op {
    /// The operation's name and the power states that allow it.
    fn rule(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Start => ("start", &["halted"]),
            Self::CleanShutdown => ("clean_shutdown", &["running"]),
            Self::HardShutdown => ("hard_shutdown", &["paused", "suspended", "running"]),
            Self::CleanReboot => ("clean_reboot", &["running"]),
            Self::HardReboot => ("hard_reboot", &["paused", "running"]),
            Self::Suspend => ("suspend", &["running"]),
            Self::Resume => ("resume", &["suspended"]),
            Self::Pause => ("pause", &["running"]),
            Self::Unpause => ("unpause", &["paused"]),
            Self::PoolMigrate => ("pool_migrate", &["running"]),
            Self::MigrateSend => ("migrate_send", &["halted", "suspended", "running"]),
            Self::Clone => ("clone", &["halted"]),
            Self::Copy => ("copy", &["halted"]),
            Self::Snapshot => ("snapshot", &["halted", "paused", "suspended", "running"]),
            Self::Checkpoint => ("checkpoint", &["running"]),
            Self::Destroy => ("destroy", &["halted", "suspended"]),
            Self::ChangingStaticRange => ("changing_static_range", &["halted"]),
            Self::ChangingDynamicRange => ("changing_dynamic_range", &["halted", "running"]),
            Self::MakeIntoTemplate => ("make_into_template", &["halted"]),
        }
    }
}

/// Refuses an operation that the VM's state, its owner or its guest do not allow.
pub fn check(pool: &Pool, uuid: &str, op: Op) -> Outcome<()> {
    let row = pool.get(Class::Vm, uuid)?;
    let (name, states) = op.rule();
    if let Some(reason) = row.entry("blocked-operations", name) {
        return Err(refused("OPERATION_BLOCKED", vec![pool.vm_param(uuid), Param::text(reason)]));
    }
    // A checkpoint is suspended, and may be cloned all the same.
    let free = row.is("is-a-snapshot") && matches!(op, Op::Clone | Op::Copy);
    if !free {
        expect(pool, uuid, states)?;
    }
    if row.is("is-control-domain") && !matches!(op, Op::Start | Op::ChangingDynamicRange) {
        let reason = "This operation is not allowed on a control domain";
        return Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(reason)]));
    }
    if row.is("is-a-template") && op == Op::Start {
        return Err(refused("VM_IS_TEMPLATE", vec![pool.vm_param(uuid)]));
    }
    if row.is("is-default-template") && op == Op::Destroy {
        return Err(refused("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", vec![pool.vm_param(uuid)]));
    }
    let cooperative =
        matches!(op, Op::CleanShutdown | Op::CleanReboot | Op::Suspend | Op::Checkpoint | Op::PoolMigrate)
            || op == Op::MigrateSend && row.get("power-state") == "running";
    if cooperative && !guest::has_tools(row) {
        return Err(refused("VM_LACKS_FEATURE", vec![pool.vm_param(uuid)]));
    }
    Ok(())
}

/// Refuses unless the VM is in one of these power states.
pub fn expect(pool: &Pool, uuid: &str, states: &[&str]) -> Outcome<()> {
    let actual = pool.get(Class::Vm, uuid)?.get("power-state");
    if states.contains(&actual) {
        return Ok(());
    }
    Err(refused(
        "VM_BAD_POWER_STATE",
        vec![pool.vm_param(uuid), Param::text(states.join(", ")), Param::text(actual)],
    ))
}

/// `allowed-operations`, as recorded in each state.
pub fn allowed_operations(_: &Pool, row: &Row) -> Vec<String> {
    let operations: &[&str] = match row.get("power-state") {
        _ if row.is("is-control-domain") => &["metadata_export", "changing_dynamic_range"],
        "suspended" if row.is("is-a-snapshot") => {
            &["destroy", "metadata_export", "export", "hard_shutdown", "revert", "copy", "clone"]
        }
        _ if row.is("is-a-snapshot") => &["destroy", "metadata_export", "export", "revert", "copy", "clone"],
        _ if row.is("is-a-template") => {
            &["changing_NVRAM", "changing_dynamic_range", "changing_shadow_memory", "changing_static_range"]
        }
        "running" if guest::has_tools(row) => &[
            "metadata_export",
            "changing_dynamic_range",
            "migrate_send",
            "pool_migrate",
            "changing_VCPUs_live",
            "suspend",
            "hard_reboot",
            "hard_shutdown",
            "clean_reboot",
            "clean_shutdown",
            "pause",
            "checkpoint",
            "snapshot",
        ],
        "running" => &[
            "metadata_export",
            "changing_dynamic_range",
            "hard_reboot",
            "hard_shutdown",
            "pause",
            "snapshot",
        ],
        "paused" => &["metadata_export", "hard_reboot", "hard_shutdown", "unpause", "snapshot"],
        "suspended" => {
            &["destroy", "metadata_export", "export", "hard_shutdown", "resume_on", "resume", "snapshot"]
        }
        _ => &[
            "create_vtpm",
            "destroy",
            "metadata_export",
            "export",
            "make_into_template",
            "changing_NVRAM",
            "changing_shadow_memory",
            "changing_static_range",
            "changing_dynamic_range",
            "migrate_send",
            "start_on",
            "start",
            "copy",
            "clone",
            "snapshot",
        ],
    };
    let blocked = |name: &&&str| row.entry("blocked-operations", name).is_none();
    operations.iter().filter(blocked).map(|&name| name.to_owned()).collect()
}

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
        let pifs = pool.referring(Class::Pif, "network-uuid", network);
        if !pifs.is_empty() && pifs.iter().all(|pif| pif.get("host-uuid") != host) {
            let params = vec![pool.vm_param(uuid), pool.param(Class::Network, network)];
            return Err(refused("VM_REQUIRES_NET", params));
        }
    }
    Ok(())
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
