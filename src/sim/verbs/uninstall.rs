//! Taking VMs away: the record alone, or with the disks it owns
//! (xapi `cli_operations.ml` `vm_destroy`, `vm_uninstall_common`).

use super::{machine, snapshot, vdi};
use crate::sim::call::{Call, Run, Verb, changing};
use crate::sim::fault;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, cli, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::{VMS, chosen_vms};
use crate::sim::store::Store;
use std::io;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "vm-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy) },
    Verb { name: "vm-uninstall", required: &[], optional: &["force"], run: Run::Waits(uninstall) },
    Verb {
        name: "snapshot-uninstall",
        required: &[],
        optional: &["uuid", "snapshot-uuid", "force"],
        run: Run::Waits(uninstall_snapshot),
    },
    Verb {
        name: "template-uninstall",
        required: &["template-uuid"],
        optional: &["force"],
        run: Run::Waits(uninstall_template),
    },
];

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?.to_owned();
    if pool.get(Class::Vm, &uuid)?.is("is-control-domain") {
        let reason = "You cannot destroy a control domain via the CLI";
        return Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(reason)]));
    }
    machine::destroy(pool, &uuid)
}

/// A VM that is to go, with the disks that go with it.
struct Doomed {
    vm: String,
    disks: Vec<String>,
    image: Option<String>,
}

fn uninstall(store: &Store, call: &mut Call) -> Outcome<()> {
    let vms = {
        let pool = store.read()?;
        let mut vms = chosen_vms(&pool, &call.command, VMS, &[])?;
        let taken = |vm: &String| pool.referring_uuids(Class::Vm, "snapshot-of", vm);
        let snapshots: Vec<String> = vms.iter().flat_map(taken).collect();
        vms.extend(snapshots);
        vms
    };
    uninstall_all(store, call, &vms)
}

fn uninstall_snapshot(store: &Store, call: &mut Call) -> Outcome<()> {
    let snapshot = snapshot::named(&store.read()?, call)?;
    uninstall_all(store, call, &[snapshot])
}

fn uninstall_template(store: &Store, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("template-uuid")?.to_owned();
    if !store.read()?.get(Class::Vm, &uuid)?.is("is-a-template") {
        return cli(format!(
            "This operation can only be performed on a VM template. {uuid} is not a VM template."
        ));
    }
    uninstall_all(store, call, &[uuid])
}

fn uninstall_all(store: &Store, call: &mut Call, vms: &[String]) -> Outcome<()> {
    let doomed = {
        let pool = store.read()?;
        call.out.line("The following items are about to be destroyed");
        let mut doomed = Vec::new();
        for vm in vms {
            doomed.push(choose(&pool, call, vm)?);
        }
        doomed
    };
    if !call.command.flag("force", false)? && !says_yes(call)? {
        return Ok(());
    }
    changing(store, call, |pool, call| {
        for one in &doomed {
            take_away(pool, call, one)?;
        }
        Ok(())
    })?;
    call.out.line("All objects destroyed");
    Ok(())
}

/// Only disks whose VBD says `owner` go with the VM.
fn choose(pool: &Pool, call: &mut Call, vm: &str) -> Outcome<Doomed> {
    let row = pool.get(Class::Vm, vm)?;
    call.out.line(&format!("VM : {vm} ({})", row.get("name-label")));
    let owned = |vbd: &&Row| vbd.entry("other-config", "owner").is_some();
    let vbds = pool.referring(Class::Vbd, "vm-uuid", vm);
    let disks: Vec<&Row> = vbds
        .iter()
        .copied()
        .filter(|vbd| owned(vbd))
        .filter_map(|vbd| pool.find(Class::Vdi, vbd.get("vdi-uuid")))
        .collect();
    let image = pool.find(Class::Vdi, row.get("suspend-VDI-uuid"));
    for disk in disks.iter().copied().chain(image) {
        let shared = pool.referring(Class::Vbd, "vdi-uuid", &disk.uuid).len() > 1;
        let warning = if shared { " ** WARNING: disk is shared by other VMs" } else { "" };
        call.out.line(&format!("VDI: {} ({}) {warning}", disk.uuid, disk.get("name-label")));
    }
    let uuid = |row: &Row| row.uuid.to_string();
    Ok(Doomed { vm: vm.to_owned(), disks: disks.into_iter().map(uuid).collect(), image: image.map(uuid) })
}

/// One call after the other: what was done before one of them fails stays done.
fn take_away(pool: &mut Pool, call: &mut Call, doomed: &Doomed) -> Outcome<()> {
    if pool.get(Class::Vm, &doomed.vm)?.get("power-state") != "halted" {
        machine::hard_shutdown(pool, &doomed.vm)?;
        call.keep = true;
    }
    machine::destroy(pool, &doomed.vm)?;
    call.keep = true;
    for disk in &doomed.disks {
        vdi::destroy_disk(pool, disk)?;
    }
    if let Some(image) = &doomed.image
        && pool.find(Class::Vdi, image).is_some()
    {
        vdi::destroy_disk(pool, image)?;
    }
    Ok(())
}

/// Asks on the terminal; anything but `yes` is no.
fn says_yes(call: &mut Call) -> Outcome<bool> {
    call.out.line("Type 'yes' to continue");
    call.out.flush().map_err(|error| Fail::Simulator(error.to_string()))?;
    let mut answer = String::new();
    if !matches!(io::stdin().read_line(&mut answer), Ok(count) if count > 0) {
        return Err(Fail::Client(fault::LOST.into()));
    }
    let answer = answer.strip_suffix('\n').unwrap_or(&answer);
    let yes = answer.trim().eq_ignore_ascii_case("yes");
    if !yes {
        call.out.line(&format!("Aborted (you typed: '{answer}')"));
    }
    Ok(yes)
}
