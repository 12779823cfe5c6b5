//! VBDs: disks and CD drives of VMs (xapi `xapi_vbd_helpers.ml`, `xapi_vbd.ml`).

mod create;

pub use create::{New, make};

use super::{disc, machine};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::guest;
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, cli, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;
use crate::sim::task;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vbd-create",
        required: &["vm-uuid", "device"],
        optional: &["vdi-uuid", "bootable", "type", "mode", "unpluggable"],
        run: Run::Changes(create::create),
    },
    Verb { name: "vbd-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy) },
    Verb { name: "vbd-plug", required: &["uuid"], optional: &[], run: Run::Changes(plug) },
    Verb {
        name: "vbd-unplug",
        required: &["uuid"],
        optional: &["timeout", "force"],
        run: Run::Changes(unplug),
    },
    Verb {
        name: "vbd-insert",
        required: &["uuid", "vdi-uuid"],
        optional: &[],
        run: Run::Changes(disc::insert),
    },
    Verb { name: "vbd-eject", required: &["uuid"], optional: &[], run: Run::Changes(disc::eject) },
];

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    destroy_vbd(pool, &uuid)
}

/// Destroys a VBD that is not attached.
pub fn destroy_vbd(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let row = pool.get(Class::Vbd, uuid)?;
    // An empty drive of a running VM counts as attached but holds nothing.
    let held = row.is("currently-attached") && !(row.is("empty") && row.get("type") == "CD");
    if held {
        let reason = format!("VBD '{uuid}' still attached to '{}'", row.get("vm-uuid"));
        return Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(reason)]));
    }
    pool.remove(Class::Vbd, uuid);
    Ok(())
}

fn plug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    plug_vbd(pool, &uuid)
}

/// Attaches a VBD to its running VM.
pub fn plug_vbd(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let row = pool.get(Class::Vbd, uuid)?;
    let vm = row.get("vm-uuid").to_owned();
    lifecycle::expect(pool, &vm, &["running"])?;
    if row.is("currently-attached") {
        return Err(refused("DEVICE_ALREADY_ATTACHED", vec![pool.param(Class::Vbd, uuid)]));
    }
    task::check_plugging(pool, &vm)?;
    let hvm = pool.get(Class::Vm, &vm)?.is("hvm");
    if hvm {
        hotplug(pool, &vm, row)?;
    }
    if hvm && row.get("type") == "Disk" && row.get("mode") == "RO" {
        return Err(refused("DISK_VBD_MUST_BE_READWRITE_FOR_HVM", vec![pool.param(Class::Vbd, uuid)]));
    }
    storage::check_sharing(pool, row)?;
    if let Some(vdi) = pool.find(Class::Vdi, row.get("vdi-uuid")) {
        let (sr, host) = (vdi.get("sr-uuid").to_owned(), pool.get(Class::Vm, &vm)?.get("resident-on"));
        if !storage::is_reachable(pool, &sr, host) {
            return Err(machine::about(pool, "VM_REQUIRES_SR", &vm, Class::Sr, &sr));
        }
    }
    machine::attach(pool, Class::Vbd, uuid)
}

/// Only a guest with PV drivers takes disks while it runs; CDs are never plugged.
fn hotplug(pool: &Pool, vm: &str, vbd: &Row) -> Outcome<()> {
    guest::check_hotplug(pool, vm)?;
    if vbd.get("type") == "CD" {
        let reason = "HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected";
        return Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(reason)]));
    }
    Ok(())
}

fn unplug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    if let Some(timeout) = call.command.get("timeout")
        && timeout.parse::<f64>().is_err()
    {
        return cli("Failed to parse parameter 'timeout': expecting a float");
    }
    call.command.flag("force", false)?;
    let uuid = call.command.need("uuid")?.to_owned();
    let row = pool.get(Class::Vbd, &uuid)?;
    if !row.is("unpluggable") {
        return Err(refused("VBD_NOT_UNPLUGGABLE", vec![pool.param(Class::Vbd, &uuid)]));
    }
    let vm = row.get("vm-uuid").to_owned();
    lifecycle::expect(pool, &vm, &["running"])?;
    if !row.is("currently-attached") {
        return Err(refused("DEVICE_ALREADY_DETACHED", vec![pool.param(Class::Vbd, &uuid)]));
    }
    task::check_plugging(pool, &vm)?;
    if pool.get(Class::Vm, &vm)?.is("hvm") {
        hotplug(pool, &vm, row)?;
    }
    pool.set(Class::Vbd, &uuid, "currently-attached", "false")
}
