//! Whether a VM takes devices as it is now.

use super::record::map_value;
use super::vm::VmRecord;
use super::{PowerState, Record, Uuid, Xe};
use crate::report::Result;

/// None of these can a guest write.
const FIELDS: [&str; 7] = [
    "uuid",
    "power-state",
    "resident-on",
    "current-domain-type",
    "PV-drivers-detected",
    "can-use-hotplug-vbd",
    "other-config",
];

/// Whether a running HVM guest takes disks (xapi_vbd_helpers.ml `valid_operations`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakesDisks {
    Yes,
    No,
    /// If it has told the version of its PV drivers.
    WithVersion,
}

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
    takes_disks: TakesDisks,
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
            takes_disks: match (record.text("can-use-hotplug-vbd"), record.text("PV-drivers-detected")) {
                ("no", _) => TakesDisks::No,
                ("yes", _) | (_, "true") => TakesDisks::Yes,
                _ if record.is_without_value("PV-drivers-detected") => TakesDisks::No,
                _ => TakesDisks::WithVersion,
            },
        })
    }

    /// Whether XAPI would plug a disk into the running VM. Asks once more only where a guest has told of itself and no
    /// PV drivers were detected.
    pub fn takes_disks(&self, xe: &Xe) -> Result<bool> {
        match self.takes_disks {
            _ if !self.is_hvm => Ok(true),
            TakesDisks::Yes => Ok(true),
            TakesDisks::No => Ok(false),
            TakesDisks::WithVersion => {
                let version = xe.param_get("vm", &self.uuid, "PV-drivers-version")?;
                let has_number = |key: &str| {
                    map_value(&version, key).is_some_and(|text| text.trim().parse::<i64>().is_ok())
                };
                Ok(has_number("major") && has_number("minor"))
            }
        }
    }

    /// The VM with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Pluggable>> {
        Ok(xe.list("vm", &FIELDS, &[("uuid", &uuid.to_string())], Pluggable::read)?.pop())
    }
}
