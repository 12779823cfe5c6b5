//! Snapshots and checkpoints of VMs (xapi `xapi_vm_snapshot.ml`).

use super::cloning::{How, copy_disk, copy_vbds, copy_vifs, copy_vm, forget_snapshot};
use super::{machine, power, suspend};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::{VMS, chosen_vms};
use crate::sim::storage;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vm-snapshot",
        required: &["new-name-label"],
        optional: &["new-name-description", "ignore-vdi-uuids"],
        run: Run::Changes(snapshot),
    },
    Verb {
        name: "vm-checkpoint",
        required: &["new-name-label"],
        optional: &["new-name-description"],
        run: Run::Changes(checkpoint),
    },
    Verb {
        name: "snapshot-revert",
        required: &[],
        optional: &["uuid", "snapshot-uuid"],
        run: Run::Changes(revert),
    },
    Verb {
        name: "snapshot-destroy",
        required: &[],
        optional: &["uuid", "snapshot-uuid"],
        run: Run::Changes(destroy),
    },
    Verb {
        name: "snapshot-clone",
        required: &["new-name-label"],
        optional: &["uuid", "new-name-description"],
        run: Run::Changes(clone),
    },
    Verb {
        name: "snapshot-copy",
        required: &["new-name-label"],
        optional: &["uuid", "new-name-description", "sr-uuid"],
        run: Run::Changes(copy),
    },
    Verb {
        name: "snapshot-reset-powerstate",
        required: &[],
        optional: &["uuid", "snapshot-uuid", "force"],
        run: Run::Changes(reset_powerstate),
    },
];

fn snapshot(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let ignored: Vec<String> = call
        .command
        .get("ignore-vdi-uuids")
        .into_iter()
        .flat_map(|all| all.split(','))
        .map(String::from)
        .collect();
    for vdi in &ignored {
        pool.get(Class::Vdi, vdi)?;
    }
    take(pool, call, false, &ignored)
}

fn checkpoint(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    take(pool, call, true, &[])
}

fn take(pool: &mut Pool, call: &mut Call, checkpoint: bool, ignored: &[String]) -> Outcome<()> {
    let own = ["new-name-label", "new-name-description", "ignore-vdi-uuids"];
    let mut made = Vec::new();
    for vm in chosen_vms(pool, &call.command, VMS, &own)? {
        lifecycle::check(pool, &vm, if checkpoint { Op::Checkpoint } else { Op::Snapshot })?;
        made.push(take_one(pool, &vm, call.command.need("new-name-label")?, checkpoint, ignored)?);
    }
    if let (Some(description), Some(first)) = (call.command.get("new-name-description"), made.first()) {
        pool.set(Class::Vm, first, "name-description", description)?;
    }
    call.out.list(&made);
    Ok(())
}

fn take_one(pool: &mut Pool, vm: &str, name: &str, checkpoint: bool, ignored: &[String]) -> Outcome<String> {
    let image = if checkpoint { Some(suspend::suspend_image(pool, vm)?) } else { None };
    let taken = copy_vm(pool, vm, name, How::Snapshot { checkpoint }, ignored)?;
    let (now, order) = (pool.now(), pool.counter);
    let source = pool.get(Class::Vm, vm)?.clone();
    let state = source.get("power-state");
    let mut letters = state.chars();
    let state: String =
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    let row = pool.edit(Class::Vm, &taken)?;
    row.set("is-a-template", "true");
    row.set("is-a-snapshot", "true");
    row.set("snapshot-of", vm.to_owned());
    row.set("snapshot-time", now);
    row.put("snapshot-info", "power-state-at-snapshot", state);
    row.put("snapshot-info", "disk-snapshot-type", "crash_consistent");
    row.set("parent", source.get("parent").to_owned());
    row.set("suspend-SR-uuid", "");
    row.set("hvm", source.get("hvm").to_owned());
    row.set("current-domain-type", source.get("current-domain-type").to_owned());
    row.set("VCPUs-number", source.get("VCPUs-number").to_owned());
    row.set("sim-order", order.to_string());
    row.set("sim-was-name", source.get("name-label").to_owned());
    row.set("sim-was-description", source.get("name-description").to_owned());
    row.set("sim-was-template", source.get("is-a-template").to_owned());
    row.set("sim-was-suspend-sr", source.get("suspend-SR-uuid").to_owned());
    if let Some(image) = image {
        row.set("power-state", "suspended");
        row.set("suspend-VDI-uuid", image);
    }
    pool.set(Class::Vm, vm, "parent", &taken)?;
    Ok(taken)
}

/// The snapshot that the parameters name.
pub fn named(pool: &Pool, call: &Call) -> Outcome<String> {
    let uuid = call.command.get("snapshot-uuid").or_else(|| call.command.get("uuid"));
    let Some(uuid) = uuid else { return cli("Required parameter not found: snapshot-uuid or uuid.") };
    if !pool.get(Class::Vm, uuid)?.is("is-a-snapshot") {
        return cli(format!(
            "This operation can only be performed on a VM snapshot. {uuid} is not a VM snapshot."
        ));
    }
    Ok(uuid.to_owned())
}

fn revert(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let snapshot = named(pool, call)?;
    let vm = pool.get(Class::Vm, &snapshot)?.get("snapshot-of").to_owned();
    if pool.find(Class::Vm, &vm).is_none() {
        return Err(refused("VM_REVERT_FAILED", vec![pool.vm_param(&vm), pool.vm_param(&snapshot)]));
    }
    if pool.get(Class::Vm, &vm)?.get("power-state") != "halted" {
        machine::hard_shutdown(pool, &vm)?;
    }
    drop_devices(pool, &vm, &snapshot)?;
    copy_fields(pool, &vm, &snapshot)?;
    copy_disks(pool, &vm, &snapshot)?;
    copy_vifs(pool, &snapshot, &vm, true)?;
    let image = pool.get(Class::Vm, &snapshot)?.get("suspend-VDI-uuid").to_owned();
    if pool.find(Class::Vdi, &image).is_some() {
        let image = copy_disk(pool, &image, How::Clone)?;
        pool.set(Class::Vm, &vm, "suspend-VDI-uuid", &image)?;
        pool.set(Class::Vm, &vm, "power-state", "suspended")?;
    }
    Ok(())
}

/// Takes away the VM's VBDs and VIFs, and those of its disks that the snapshot brings back.
fn drop_devices(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let mut replaced = Vec::new();
    for vbd in pool.referring(Class::Vbd, "vm-uuid", snapshot) {
        if let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            replaced.push(vdi.get("snapshot-of").to_owned());
        }
    }
    for vbd in pool.referring_uuids(Class::Vbd, "vm-uuid", vm) {
        let row = pool.get(Class::Vbd, &vbd)?.clone();
        pool.remove(Class::Vbd, &vbd);
        let vdi = row.get("vdi-uuid");
        if row.get("type") == "Disk" && replaced.iter().any(|replaced| replaced == vdi) {
            storage::check_unused(pool, vdi, "destroy", false)?;
            storage::remove(pool, vdi)?;
        }
    }
    for vif in pool.referring_uuids(Class::Vif, "vm-uuid", vm) {
        pool.remove(Class::Vif, &vif);
    }
    Ok(())
}

/// The VM becomes what it was, but for what belongs to the VM for good.
fn copy_fields(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let old = pool.get(Class::Vm, vm)?.clone();
    let was: Row = pool.get(Class::Vm, snapshot)?.clone();
    let mut row = was.copied(vm.to_owned());
    forget_snapshot(&mut row);
    row.set("name-label", was.get("sim-was-name").to_owned());
    row.set("name-description", was.get("sim-was-description").to_owned());
    row.set("is-a-template", was.get("sim-was-template").to_owned());
    row.set("suspend-SR-uuid", was.get("sim-was-suspend-sr").to_owned());
    row.set("parent", snapshot.to_owned());
    row.set("power-state", "halted");
    row.set("suspend-VDI-uuid", "");
    row.set("VCPUs-number", "0");
    row.set("hvm", "false");
    row.set("current-domain-type", "unspecified");
    for name in ["affinity", "sim-tools"] {
        row.set(name, old.get(name).to_owned());
    }
    row.take_all("tags");
    let tags: Vec<&str> = old.entries("tags").map(|(tag, _)| tag).collect();
    for tag in tags.iter().rev() {
        row.put("tags", tag, "");
    }
    pool.remove(Class::Vm, vm);
    pool.insert(row);
    Ok(())
}

/// Clones the snapshot's disks for the VM; all snapshots of a disk become snapshots of its clone.
fn copy_disks(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let mut origins = Vec::new();
    for vbd in pool.referring(Class::Vbd, "vm-uuid", snapshot) {
        if let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            origins.push((vbd.get("userdevice").to_owned(), vdi.get("snapshot-of").to_owned()));
        }
    }
    copy_vbds(pool, snapshot, vm, How::Clone, &[])?;
    for vbd in pool.referring_uuids(Class::Vbd, "vm-uuid", vm) {
        let row = pool.get(Class::Vbd, &vbd)?;
        let (device, vdi) = (row.get("userdevice").to_owned(), row.get("vdi-uuid").to_owned());
        let origin = origins.iter().find(|(known, origin)| *known == device && !origin.is_empty());
        let Some((_, origin)) = origin.filter(|_| row.get("type") == "Disk") else { continue };
        for related in pool.referring_uuids(Class::Vdi, "snapshot-of", origin) {
            pool.set(Class::Vdi, &related, "snapshot-of", &vdi)?;
        }
    }
    Ok(())
}

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let snapshot = named(pool, call)?;
    if pool.get(Class::Vm, &snapshot)?.get("power-state") != "halted" {
        machine::hard_shutdown(pool, &snapshot)?;
    }
    machine::destroy(pool, &snapshot)
}

fn clone(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    copied(pool, call, How::Clone)
}

fn copy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let sr = call.command.get("sr-uuid").map(str::to_owned);
    if let Some(sr) = &sr {
        pool.get(Class::Sr, sr)?;
    }
    copied(pool, call, How::Copy(sr.as_deref()))
}

fn copied(pool: &mut Pool, call: &mut Call, how: How) -> Outcome<()> {
    let name = call.command.need("new-name-label")?.to_owned();
    let snapshot = named(pool, call)?;
    let made = copy_vm(pool, &snapshot, &name, how, &[])?;
    if let Some(description) = call.command.get("new-name-description") {
        pool.set(Class::Vm, &made, "name-description", description)?;
    }
    call.out.list(&[made]);
    Ok(())
}

fn reset_powerstate(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    power::forced(call)?;
    let snapshot = named(pool, call)?;
    machine::end(pool, &snapshot, "halted")
}
