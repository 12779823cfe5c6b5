//! What a VM has of memory and CPUs, and how much of it a running VM may change.

use super::record::map_value;
use super::vm::{MemoryLimits, VmRecord};
use super::{Call, PowerState, Record, Uuid, Xe, call};
use crate::report::Result;

/// None of these can a guest write.
const FIELDS: [&str; 12] = [
    "uuid",
    "power-state",
    "memory-static-min",
    "memory-dynamic-min",
    "memory-dynamic-max",
    "memory-static-max",
    "VCPUs-max",
    "VCPUs-at-startup",
    "VCPUs-number",
    "VCPUs-params",
    "PV-drivers-detected",
    "other-config",
];

/// A VM's memory and CPUs as the pool has them.
#[derive(Clone, Debug)]
pub struct VmSize {
    uuid: Uuid,
    pub power_state: PowerState,
    pub memory: MemoryLimits,
    /// The CPUs it has now; of a halted VM those it starts with.
    pub vcpus: u32,
    pub vcpus_max: u32,
    /// Whether the guest has PV drivers, its memory balloon among them; none where XAPI does not know.
    pub has_pv_drivers: Option<bool>,
    vcpus_params: String,
    other_config: String,
}

impl VmRecord for VmSize {
    fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    fn other_config(&self, key: &str) -> Option<&str> {
        map_value(&self.other_config, key)
    }
}

impl VmSize {
    fn read(record: &Record<'_>) -> Result<VmSize> {
        let at_startup: u32 = record.get("VCPUs-at-startup")?;
        let now: u32 = record.text("VCPUs-number").parse().unwrap_or(0);
        Ok(VmSize {
            uuid: record.get("uuid")?,
            other_config: record.text("other-config").to_owned(),
            power_state: record.get("power-state")?,
            memory: MemoryLimits {
                static_min_bytes: record.get("memory-static-min")?,
                dynamic_min_bytes: record.get("memory-dynamic-min")?,
                dynamic_max_bytes: record.get("memory-dynamic-max")?,
                static_max_bytes: record.get("memory-static-max")?,
            },
            vcpus: if now > 0 { now } else { at_startup },
            vcpus_max: record.get("VCPUs-max")?,
            has_pv_drivers: record.text("PV-drivers-detected").parse().ok(),
            vcpus_params: record.text("VCPUs-params").to_owned(),
        })
    }

    /// The VM with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<VmSize>> {
        Ok(xe.list("vm", &FIELDS, &[("uuid", &uuid.to_string())], VmSize::read)?.pop())
    }

    /// A value of `VCPUs-params` (`weight`, `cap`, `mask`).
    pub fn vcpus_param(&self, key: &str) -> Option<&str> {
        map_value(&self.vcpus_params, key)
    }
}

/// How much memory a running VM's balloon leaves it; between its static limits (xapi_vm.ml:983).
pub fn set_memory_range(uuid: &Uuid, min_bytes: u64, max_bytes: u64) -> Call {
    call("vm-memory-dynamic-range-set").set("uuid", uuid).set("min", min_bytes).set("max", max_bytes)
}

/// Gives a running VM so many CPUs, at most its `VCPUs-max`; it also starts with as many next time
/// (xapi_xenops.ml:3597).
pub fn hotplug_vcpus(uuid: &Uuid, count: u32) -> Call {
    call("vm-vcpu-hotplug").set("uuid", uuid).set("new-vcpus", count)
}

/// Takes a key out of `VCPUs-params`.
pub fn remove_vcpus_param(uuid: &Uuid, key: &str) -> Call {
    call("vm-param-remove").set("uuid", uuid).set("param-name", "VCPUs-params").set("param-key", key)
}
