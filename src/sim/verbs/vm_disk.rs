//! Disks of VMs by the VM's name (xapi `cli_operations.ml` `vm_disk_*`).

use super::vbd::{self, New};
use super::vdi;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::fields;
use crate::sim::param::{chosen, record};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli};
use crate::sim::row::Class;
use crate::sim::select::{VMS, chosen_vms, each_vm};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vm-disk-list",
        required: &[],
        optional: &["vbd-params", "vdi-params"],
        run: Run::Reads(disk_list),
    },
    Verb {
        name: "vm-disk-add",
        required: &["disk-size", "device"],
        optional: &["sr-uuid"],
        run: Run::Changes(disk_add),
    },
    Verb { name: "vm-disk-remove", required: &["device"], optional: &[], run: Run::Changes(disk_remove) },
    Verb {
        name: "snapshot-disk-list",
        required: &[],
        optional: &["uuid", "snapshot-uuid", "vbd-params", "vdi-params"],
        run: Run::Reads(snapshot_disk_list),
    },
];

fn disk_list(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for vm in chosen_vms(pool, &call.command, VMS, &["vbd-params", "vdi-params"])? {
        show(pool, call, &vm, "Disk");
    }
    Ok(())
}

fn snapshot_disk_list(pool: &Pool, call: &mut Call) -> Outcome<()> {
    let snapshot = super::snapshot::named(pool, call)?;
    show(pool, call, &snapshot, "Disk");
    Ok(())
}

/// Shows the VM's VBDs of a kind, each with its VDI.
pub fn show(pool: &Pool, call: &mut Call, vm: &str, kind: &str) {
    let shown: &[&str] = if kind == "CD" {
        &["uuid", "vm-name-label", "userdevice", "empty"]
    } else {
        &["uuid", "vm-name-label", "userdevice"]
    };
    let mut vbds = pool.referring(Class::Vbd, "vm-uuid", vm);
    vbds.retain(|vbd| vbd.get("type") == kind);
    for (number, vbd) in vbds.into_iter().enumerate() {
        let wanted = chosen(call.command.get("vbd-params"), shown);
        let line = record(pool, vbd, fields::VBD, wanted.as_deref(), false);
        call.out.remark(&format!("{kind} {number} VBD:"));
        call.out.table(&[line]);
        if let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            let shown = ["uuid", "name-label", "virtual-size", "sr-name-label"];
            let wanted = chosen(call.command.get("vdi-params"), &shown);
            let line = record(pool, vdi, fields::VDI, wanted.as_deref(), false);
            call.out.remark(&format!("{kind} {number} VDI:"));
            call.out.table(&[line]);
        }
    }
}

fn disk_add(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let size = call.command.bytes("disk-size")?;
    let device = call.command.need("device")?.to_owned();
    let sr = match call.command.get("sr-uuid") {
        Some(sr) => pool.get(Class::Sr, sr)?.uuid.to_string(),
        None => pool.own()?.get("default-SR").to_owned(),
    };
    if pool.find(Class::Sr, &sr).is_none() {
        return cli("No default Pool SR set; you must specify an SR on the commandline");
    }
    each_vm(pool, call, VMS, &["sr-uuid", "device", "disk-size"], |pool, _, vm| {
        let mut row = vdi::new_disk(pool, &sr, "Created by xe", size)?;
        row.set("name-description", "Created by xe");
        row.put("sm-config", "vmhint", vm.to_owned());
        let disk = row.uuid.to_string();
        pool.insert(row);
        let new = New {
            vm,
            vdi: Some(&disk),
            device: &device,
            bootable: false,
            mode: "RW",
            kind: "Disk",
            unpluggable: true,
            owner: true,
        };
        add(pool, &new)
    })
}

/// Makes a VBD and plugs it if it can be.
pub fn add(pool: &mut Pool, new: &New) -> Outcome<()> {
    let vbd = vbd::make(pool, new)?;
    let _ = vbd::plug_vbd(pool, &vbd);
    Ok(())
}

fn disk_remove(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let device = call.command.need("device")?.to_owned();
    each_vm(pool, call, VMS, &["device"], |pool, _, vm| {
        let vbds = pool.referring(Class::Vbd, "vm-uuid", vm);
        let Some(vbd) = vbds.iter().find(|vbd| vbd.get("userdevice") == device) else {
            return cli("Disk not found");
        };
        let (vbd, disk) = (vbd.uuid.to_string(), vbd.get("vdi-uuid").to_owned());
        vbd::destroy_vbd(pool, &vbd)?;
        vdi::destroy_disk(pool, &disk)
    })
}
