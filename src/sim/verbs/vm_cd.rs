//! CDs of VMs by the CD's name (xapi `cli_operations.ml` `vm_cd_*`).

use super::disc;
use super::vbd::{self, New};
use super::vm_disk::{add, show};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::fields;
use crate::sim::param::{chosen, record};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::{VMS, chosen_vms, each_vm};
use crate::sim::storage;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vm-cd-list",
        required: &[],
        optional: &["vbd-params", "vdi-params"],
        run: Run::Reads(cd_list_of_vm),
    },
    Verb { name: "vm-cd-add", required: &["cd-name", "device"], optional: &[], run: Run::Changes(cd_add) },
    Verb { name: "vm-cd-remove", required: &["cd-name"], optional: &[], run: Run::Changes(cd_remove) },
    Verb { name: "vm-cd-insert", required: &["cd-name"], optional: &[], run: Run::Changes(cd_insert) },
    Verb { name: "vm-cd-eject", required: &[], optional: &[], run: Run::Changes(cd_eject) },
    Verb { name: "cd-list", required: &[], optional: &["params"], run: Run::Reads(cd_list) },
];

fn cd_list_of_vm(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for vm in chosen_vms(pool, &call.command, VMS, &["vbd-params", "vdi-params"])? {
        show(pool, call, &vm, "CD");
    }
    Ok(())
}

/// The CD images of this name.
fn images(pool: &Pool, name: &str) -> Vec<String> {
    let named = |vdi: &&Row| vdi.get("name-label") == name && storage::is_iso(pool, vdi.get("sr-uuid"));
    pool.rows(Class::Vdi).iter().filter(named).map(|vdi| vdi.uuid.to_string()).collect()
}

fn cd_add(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let name = call.command.need("cd-name")?.to_owned();
    let device = call.command.need("device")?.to_owned();
    let Some(image) = images(pool, &name).into_iter().next() else {
        return cli(format!("CD {name} not found!"));
    };
    each_vm(pool, call, VMS, &["cd-name", "device", "cd-location"], |pool, _, vm| {
        let new = New {
            vm,
            vdi: Some(&image),
            device: &device,
            bootable: false,
            mode: "RO",
            kind: "CD",
            unpluggable: true,
            owner: false,
        };
        add(pool, &new)
    })
}

fn cd_remove(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let name = call.command.need("cd-name")?.to_owned();
    each_vm(pool, call, VMS, &["cd-name"], |pool, _, vm| {
        let holds = |vbd: &&&Row| match pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            Some(vdi) => storage::is_iso(pool, vdi.get("sr-uuid")) && vdi.get("name-label") == name,
            None => name == "<EMPTY>",
        };
        let vbds = pool.referring(Class::Vbd, "vm-uuid", vm);
        let Some(vbd) = vbds.iter().find(holds).map(|vbd| vbd.uuid.to_string()) else {
            return cli("Disk not found");
        };
        vbd::destroy_vbd(pool, &vbd)
    })
}

fn drives(pool: &Pool, vm: &str, only_empty: bool) -> Vec<String> {
    let vbds = pool.referring(Class::Vbd, "vm-uuid", vm);
    let fits = |vbd: &&&Row| vbd.get("type") == "CD" && (!only_empty || vbd.is("empty"));
    vbds.iter().filter(fits).map(|vbd| vbd.uuid.to_string()).collect()
}

fn cd_insert(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let name = call.command.need("cd-name")?.to_owned();
    let image = match images(pool, &name).as_slice() {
        [] => return cli(format!("CD {name} not found")),
        [image] => image.clone(),
        _ => return cli(format!("Multiple CDs named {name} found. Please use vbd-insert and specify uuids")),
    };
    each_vm(pool, call, VMS, &["cd-name"], |pool, _, vm| match drives(pool, vm, true).as_slice() {
        [] => Err(refused("VM_NO_EMPTY_CD_VBD", vec![pool.vm_param(vm)])),
        [drive] => disc::insert_disc(pool, drive, &image),
        _ => cli("Two or more empty CD devices found. Please use vbd-insert"),
    })
}

fn cd_eject(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    each_vm(pool, call, VMS, &[], |pool, _, vm| match drives(pool, vm, false).as_slice() {
        [] => cli("No CDs found"),
        [drive] => disc::eject_disc(pool, drive),
        _ => cli("Two or more CDs found. Please use vbd-eject"),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of verbs")]
fn cd_list(pool: &Pool, call: &mut Call) -> Outcome<()> {
    let wanted = chosen(call.command.get("params"), &["name-label", "uuid"]);
    let images = pool.rows(Class::Vdi).iter().filter(|vdi| storage::is_iso(pool, vdi.get("sr-uuid")));
    let records: Vec<_> =
        images.map(|vdi| record(pool, vdi, fields::VDI, wanted.as_deref(), false)).collect();
    call.out.table(&records);
    Ok(())
}
