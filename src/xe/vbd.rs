//! XAPI virtual block devices: a VDI in a VM's slot.

use super::{Call, Record, Uuid, Xe, call};
use crate::report::Result;

const FIELDS: [&str; 6] = ["uuid", "vdi-uuid", "userdevice", "type", "currently-attached", "other-config"];

/// A VBD as the pool has it.
#[derive(Clone, Debug)]
pub struct Vbd {
    pub uuid: Uuid,
    /// None: an empty drive.
    pub vdi_uuid: Option<Uuid>,
    pub userdevice: String,
    pub kind: Kind,
    /// Whether the running VM has the device.
    pub is_attached: bool,
    other_config: String,
}

impl Vbd {
    fn read(record: &Record<'_>) -> Result<Vbd> {
        Ok(Vbd {
            uuid: record.get("uuid")?,
            vdi_uuid: record.optional("vdi-uuid")?,
            userdevice: record.text("userdevice").to_owned(),
            kind: if record.text("type") == "CD" { Kind::Cd } else { Kind::Disk },
            is_attached: record.text("currently-attached") == "true",
            other_config: record.text("other-config").to_owned(),
        })
    }

    /// A value of `other-config`.
    pub fn other_config(&self, key: &str) -> Option<&str> {
        super::record::map_value(&self.other_config, key)
    }

    /// The VBDs through which VMs have a VDI.
    pub fn of_vdi(xe: &Xe, vdi: &Uuid) -> Result<Vec<Vbd>> {
        xe.list("vbd", &FIELDS, &[("vdi-uuid", &vdi.to_string())], Vbd::read)
    }

    /// The VBDs with this pair in `other-config`, each with the VM or the snapshot that it is of.
    pub fn with_other_config(xe: &Xe, key: &str, value: &str) -> Result<Vec<(Uuid, Vbd)>> {
        let fields = [&["vm-uuid"], &FIELDS[..]].concat();
        let read = |record: &Record<'_>| Ok((record.get("vm-uuid")?, Vbd::read(record)?));
        xe.list("vbd", &fields, &[(&format!("other-config:{key}"), value)], read)
    }

    /// The CD drives of all VMs and snapshots, each with what it is of.
    pub fn drives(xe: &Xe) -> Result<Vec<(Uuid, Vbd)>> {
        let fields = [&["vm-uuid"], &FIELDS[..]].concat();
        // One that XAPI has lost the VM of is nobody's.
        let read = |record: &Record<'_>| Ok((record.text("vm-uuid").parse().ok(), Vbd::read(record)?));
        let drives: Vec<(Option<Uuid>, Vbd)> = xe.list("vbd", &fields, &[("type", "CD")], read)?;
        Ok(drives.into_iter().filter_map(|(of, drive)| Some((of?, drive))).collect())
    }

    /// The VBDs of a VM.
    pub fn of_vm(xe: &Xe, vm: &Uuid) -> Result<Vec<Vbd>> {
        xe.list("vbd", &FIELDS, &[("vm-uuid", &vm.to_string())], Vbd::read)
    }
}

/// The slot's content: what `vbd-create` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Disk,
    Cd,
}

/// For the device of [`create`]: the first that XAPI allows the VM (xapi_vbd.ml `create`).
pub const ANY_DEVICE: &str = "autodetect";

/// Puts a VDI into a VM's slot.
pub fn create(
    vm: &Uuid,
    vdi: &Uuid,
    device: impl ToString,
    kind: Kind,
    is_read_only: bool,
    is_bootable: bool,
) -> Call {
    call("vbd-create")
        .set("vm-uuid", vm)
        .set("vdi-uuid", vdi)
        .set("device", device)
        .set("type", if kind == Kind::Cd { "CD" } else { "Disk" })
        .set("mode", if is_read_only { "RO" } else { "RW" })
        .set("bootable", is_bootable)
}

pub fn set(uuid: &Uuid) -> Call {
    call("vbd-param-set").set("uuid", uuid)
}

/// Takes XAPI's own mark "this VDI goes with its VM" from a slot. Copies of disks have it whether or not the original
/// had, copies of CD drives if the original had (xapi_vm_clone.ml `clone`).
pub fn disown(uuid: &Uuid) -> Call {
    call("vbd-param-remove").set("uuid", uuid).set("param-name", "other-config").set("param-key", "owner")
}

/// Takes the slot from the VM; one that a running VM has must be unplugged first.
pub fn destroy(uuid: &Uuid) -> Call {
    call("vbd-destroy").set("uuid", uuid)
}

/// Shows the disk to a running VM.
pub fn plug(uuid: &Uuid) -> Call {
    call("vbd-plug").set("uuid", uuid)
}

/// Takes the disk from a running VM; its guest must let go of it.
pub fn unplug(uuid: &Uuid) -> Call {
    call("vbd-unplug").set("uuid", uuid)
}

/// Puts a disc into an empty CD drive.
pub fn insert(uuid: &Uuid, vdi: &Uuid) -> Call {
    call("vbd-insert").set("uuid", uuid).set("vdi-uuid", vdi)
}

/// Takes the disc out of a CD drive.
pub fn eject(uuid: &Uuid) -> Call {
    call("vbd-eject").set("uuid", uuid)
}

/// Takes all of the slot's `other-config` away.
pub fn clear_other_config(uuid: &Uuid) -> Call {
    call("vbd-param-clear").set("uuid", uuid).set("param-name", "other-config")
}

/// Takes one key out of the slot's `other-config`.
pub fn remove_other_config(uuid: &Uuid, key: &str) -> Call {
    call("vbd-param-remove").set("uuid", uuid).set("param-name", "other-config").set("param-key", key)
}
