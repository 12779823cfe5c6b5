//! Whether a VM takes devices as it is now.

use super::{PowerState, Record, Uuid, Xe};
use crate::report::Result;

/// None of these can a guest write.
const FIELDS: [&str; 4] = ["uuid", "power-state", "current-domain-type", "PV-drivers-detected"];

/// A VM, as far as plugging devices into it goes.
#[derive(Clone, Debug)]
pub struct Pluggable {
    pub power_state: PowerState,
    /// The running VM has QEMU: XAPI plugs no CD and no read-only disk into it (xapi_vbd.ml:91,
    /// xapi_vbd_helpers.ml:196). Releases that do not tell are taken for such.
    pub is_hvm: bool,
    /// No guest ever told XAPI anything of PV drivers: XAPI plugs nothing in (xapi_vbd_helpers.ml:161).
    pub is_silent: bool,
}

impl Pluggable {
    fn read(record: &Record<'_>) -> Result<Pluggable> {
        let domain_type = record.text("current-domain-type");
        Ok(Pluggable {
            power_state: record.get("power-state")?,
            is_hvm: !["pv", "pvh", "pv_in_pvh"].contains(&domain_type),
            is_silent: record.is_without_value("PV-drivers-detected"),
        })
    }

    /// The VM with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Pluggable>> {
        Ok(xe.list("vm", &FIELDS, &[("uuid", &uuid.to_string())], Pluggable::read)?.pop())
    }
}
