//! Whether a VM takes devices as it is now.

use super::record::map_value;
use super::vm::VmRecord;
use super::{PowerState, Record, Uuid, Xe};
use crate::report::Result;

/// None of these can a guest write.
const FIELDS: [&str; 6] =
    ["uuid", "power-state", "resident-on", "current-domain-type", "PV-drivers-detected", "other-config"];

/// A VM, as far as plugging devices into it goes.
#[derive(Clone, Debug)]
pub struct Pluggable {
    uuid: Uuid,
    pub power_state: PowerState,
    /// The host it runs on.
    pub resident_on: Option<Uuid>,
    /// The running VM has QEMU: XAPI plugs no CD and no read-only disk into it (xapi_vbd.ml:91,
    /// xapi_vbd_helpers.ml:196). Releases that do not tell are taken for such.
    pub is_hvm: bool,
    /// No guest ever told XAPI anything of PV drivers: XAPI plugs nothing in (xapi_vbd_helpers.ml:161).
    pub is_silent: bool,
    other_config: String,
}

impl VmRecord for Pluggable {
    fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    fn other_config(&self, key: &str) -> Option<&str> {
        map_value(&self.other_config, key)
    }
}

impl Pluggable {
    fn read(record: &Record<'_>) -> Result<Pluggable> {
        let domain_type = record.text("current-domain-type");
        Ok(Pluggable {
            uuid: record.get("uuid")?,
            other_config: record.text("other-config").to_owned(),
            power_state: record.get("power-state")?,
            resident_on: record.optional("resident-on")?,
            is_hvm: !["pv", "pvh", "pv_in_pvh"].contains(&domain_type),
            is_silent: record.is_without_value("PV-drivers-detected"),
        })
    }

    /// The VM with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Pluggable>> {
        Ok(xe.list("vm", &FIELDS, &[("uuid", &uuid.to_string())], Pluggable::read)?.pop())
    }
}
