//! Snapshots and checkpoints of VMs (xapi `xapi_vm_snapshot.ml`).

mod revert;

use super::cloning::{How, copy_vm};
use super::{machine, power, suspend};
use crate::sim::call::{Call, Run, Verb};
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli};
use crate::sim::row::Class;
use crate::sim::select::{VMS, chosen_vms};

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
        run: Run::Changes(revert::revert),
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
