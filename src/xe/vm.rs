//! XAPI VMs.

use super::{Call, PowerState, Record, Uuid, Xe, call};
use crate::report::Result;
use anyhow::Context;

/// Fields of a VM that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 9] = [
    "uuid",
    "power-state",
    "suspend-VDI-uuid",
    "snapshots",
    "resident-on",
    "other-config",
    "start-time",
    "memory-actual",
    "blocked-operations",
];

/// A VM of the pool with its `other-config`, whatever else was asked of it.
pub trait VmRecord {
    fn uuid(&self) -> &Uuid;
    /// A value of `other-config`.
    fn other_config(&self, key: &str) -> Option<&str>;
}

impl VmRecord for Vm {
    fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    fn other_config(&self, key: &str) -> Option<&str> {
        Vm::other_config(self, key)
    }
}

/// How XAPI shows a time that never was: the beginning of 1970.
const NEVER: &str = "1970";

/// A VM as the pool has it.
#[derive(Clone, Debug)]
pub struct Vm {
    pub uuid: Uuid,
    pub power_state: PowerState,
    /// The host it runs on.
    pub resident_on: Option<Uuid>,
    /// What holds its memory while it is suspended.
    pub suspend_vdi: Option<Uuid>,
    pub snapshots: usize,
    /// Whether it has ever run; its time of start stays when it halts (xapi_vm_lifecycle.ml:852 resets it not).
    pub has_started: bool,
    /// 0 while it does not run.
    pub memory_actual_bytes: u64,
    /// Whether somebody has told XAPI to refuse its removal (`blocked-operations:destroy`, the switch of XO and
    /// XCP-ng Center).
    pub is_protected: bool,
    other_config: String,
}

impl Vm {
    fn read(record: &Record<'_>) -> Result<Vm> {
        Ok(Vm {
            uuid: record.get("uuid")?,
            power_state: record.get("power-state")?,
            resident_on: record.optional("resident-on")?,
            suspend_vdi: record.optional("suspend-VDI-uuid")?,
            snapshots: record.members("snapshots").count(),
            has_started: !matches!(record.text("start-time"), "" | "<unknown time>")
                && !record.text("start-time").starts_with(NEVER),
            memory_actual_bytes: record.text("memory-actual").parse().unwrap_or(0),
            is_protected: super::record::map_value(record.text("blocked-operations"), "destroy").is_some(),
            other_config: record.text("other-config").to_owned(),
        })
    }

    /// A value of `other-config`.
    pub fn other_config(&self, key: &str) -> Option<&str> {
        super::record::map_value(&self.other_config, key)
    }

    /// The VM with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Vm>> {
        Ok(xe.list("vm", &FIELDS, &[("uuid", &uuid.to_string())], Vm::read)?.pop())
    }

    /// All VMs of the pool.
    pub fn all(xe: &Xe) -> Result<Vec<Vm>> {
        xe.list("vm", &FIELDS, &[("is-control-domain", "false")], Vm::read)
    }

    /// The VMs with this pair in `other-config`.
    pub fn with_other_config(xe: &Xe, key: &str, value: &str) -> Result<Vec<Vm>> {
        xe.list("vm", &FIELDS, &[(&format!("other-config:{key}"), value)], Vm::read)
    }

    pub fn is_running_on(&self, host: &Uuid) -> bool {
        self.power_state == PowerState::Running && self.resident_on.as_ref() == Some(host)
    }
}

/// What is being done to the VM at this moment (`clean_shutdown`, …); asked even after this program was told to stop.
/// Nothing is of one that is gone.
pub fn current_operations(xe: &Xe, uuid: &Uuid) -> Result<Vec<String>> {
    let get = call("vm-param-get").set("uuid", uuid).set("param-name", "current-operations");
    match xe.undo(&get) {
        Ok(text) => Ok(text.trim().split("; ").filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        Err(error) if super::xe_error(&error).is_some_and(super::XeError::is_gone) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The hosts that XAPI would run the VM on now: storage, networks, memory, CPUs (xapi xapi_vm_helpers.ml
/// `get_possible_hosts_for_vm`).
pub fn possible_hosts(xe: &Xe, uuid: &Uuid) -> Result<Vec<Uuid>> {
    let get = call("vm-param-get").set("uuid", uuid).set("param-name", "possible-hosts");
    let text = xe.run(&get)?;
    text.trim().split("; ").filter(|uuid| !uuid.is_empty()).map(str::parse).collect()
}

/// Makes a halted VM out of a template (by uuid or name-label); the template's own disks, if it has any, go on
/// this SR, else on the pool's default SR.
pub fn install(template: &str, name_label: &str, sr: Option<&Uuid>) -> Call {
    let call = call("vm-install").set("template", template).set("new-name-label", name_label);
    match sr {
        Some(sr) => call.set("sr-uuid", sr),
        None => call,
    }
}

pub fn set(uuid: &Uuid) -> Call {
    call("vm-param-set").set("uuid", uuid)
}

pub fn start(uuid: &Uuid, host: &Uuid) -> Call {
    call("vm-start").set("uuid", uuid).set("on", host)
}

/// Asks the guest to power off.
pub fn clean_shutdown(uuid: &Uuid) -> Call {
    call("vm-shutdown").set("uuid", uuid)
}

/// Pulls the plug.
pub fn hard_shutdown(uuid: &Uuid) -> Call {
    call("vm-shutdown").set("uuid", uuid).set("force", true)
}

/// Asks the guest to restart.
pub fn clean_reboot(uuid: &Uuid) -> Call {
    call("vm-reboot").set("uuid", uuid)
}

/// Restarts the VM without asking its guest.
pub fn hard_reboot(uuid: &Uuid) -> Call {
    call("vm-reboot").set("uuid", uuid).set("force", true)
}

/// Lets a paused VM run.
pub fn unpause(uuid: &Uuid) -> Call {
    call("vm-unpause").set("uuid", uuid)
}

/// Puts a running VM's memory into a VDI of the suspend SR; its guest must help.
pub fn suspend(uuid: &Uuid) -> Call {
    call("vm-suspend").set("uuid", uuid)
}

/// Lets a suspended VM go on where it was, on this host.
pub fn resume(uuid: &Uuid, host: &Uuid) -> Call {
    call("vm-resume").set("uuid", uuid).set("on", host)
}

/// Lets a suspended VM go on, on a host that XAPI chooses.
pub fn resume_anywhere(uuid: &Uuid) -> Call {
    call("vm-resume").set("uuid", uuid)
}

/// Removes a halted VM's record, with its VBDs and VIFs. Its VDIs stay.
pub fn destroy(uuid: &Uuid) -> Call {
    call("vm-destroy").set("uuid", uuid)
}

/// Removes a halted VM, its snapshots, and the VDIs behind VBDs that have `owner` in their `other-config`,
/// in one call (xapi cli_operations.ml:4188).
pub fn uninstall(uuid: &Uuid) -> Call {
    call("vm-uninstall").set("uuid", uuid).set("force", true)
}

pub fn live_migrate(uuid: &Uuid, host: &Uuid) -> Call {
    call("vm-migrate").set("uuid", uuid).set("host-uuid", host).set("live", true)
}

/// Gives a halted VM an empty TPM, which goes with it (xapi_vtpm.ml).
pub fn create_vtpm(uuid: &Uuid) -> Call {
    call("vtpm-create").set("vm-uuid", uuid)
}

/// Static and dynamic limits in one call: one by one they would have to be set in an order that depends on
/// what they are now.
pub fn memory_limits(uuid: &Uuid, limits: &MemoryLimits) -> Call {
    call("vm-memory-limits-set")
        .set("uuid", uuid)
        .set("static-min", limits.static_min_bytes)
        .set("dynamic-min", limits.dynamic_min_bytes)
        .set("dynamic-max", limits.dynamic_max_bytes)
        .set("static-max", limits.static_max_bytes)
}

/// What a VM may have of a host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    pub static_min_bytes: u64,
    pub dynamic_min_bytes: u64,
    pub dynamic_max_bytes: u64,
    pub static_max_bytes: u64,
}

/// How much each of its CPUs is in use now, added up, in percent of one CPU; NaN where none was measured.
pub fn cpu_percent(xe: &Xe, uuid: &Uuid) -> Result<f64> {
    let map = xe.param_get("vm", uuid, "VCPUs-utilisation")?;
    let shares = map.split("; ").filter_map(|pair| pair.split_once(": "));
    let shares = shares.map(|(_cpu, share)| {
        share.trim().parse::<f64>().with_context(|| format!("VCPUs-utilisation is {map:?}"))
    });
    // One that was plugged in a moment ago has not been measured yet.
    let measured: Vec<f64> = shares.collect::<Result<Vec<f64>>>()?;
    let measured: Vec<f64> = measured.into_iter().filter(|share| (0.0..=2.0).contains(share)).collect();
    Ok(if measured.is_empty() { f64::NAN } else { 100.0 * measured.iter().sum::<f64>() })
}
