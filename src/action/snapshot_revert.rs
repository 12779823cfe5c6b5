//! `snapshot_revert`: the VM goes on from a snapshot, in its memory if the snapshot has it, else from its start.
//!
//! XAPI puts new VDIs in the place of the VM's, without tags: what named the old ones is put right.

mod checks;
mod names;
mod nics;
mod replaced;

use super::Caller;
use super::snapshot_delete::{self, check_is_of};
use super::suspending::{find, not_here};
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::host::{self, Host};
use crate::xe::snapshot::{self, Snapshot};
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::Context;
use names::Names;

/// Let a VM go on from one of its snapshots.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    of: snapshot_delete::Args,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let (uuid, wanted) = (&args.of.deploy_id, snapshot_delete::uuid(&args.of.snapshot)?);
    let identity = caller.identity(message.as_ref(), args.of.vm_id);
    let vm_id =
        identity.vm_id().context("neither arguments nor message tell OpenNebula's number of the VM")?;
    let xe = caller.xe(&conf, &args.of.host)?;
    let _lock = Caller::lock(&xe, Some(vm_id))?;
    let ((vm, found), marked) = parallel::both(
        || parallel::both(|| find(&xe, uuid), || Snapshot::find(&xe, &wanted)),
        || Vbd::with_other_config(&xe, mark::VM_ID, &vm_id.to_string()),
    );
    let (vm, marked) = (vm?, marked?);
    identity.check_and_mark(&xe, &vm)?;
    let of = |owner: &Uuid| marked.iter().filter(|(of, _)| of == owner).map(|(_, vbd)| vbd.clone()).collect();
    let (before, then): (Vec<Vbd>, Vec<Vbd>) = (of(uuid), of(&wanted));
    let found = found?.with_context(|| format!("the pool has no snapshot {wanted}"))?;
    check_is_of(&found, uuid)?;
    checks::check_no_disk_is_newer(&before, &then)?;
    let wanted = message.as_ref().map(|message| &message.vm);
    checks::check_no_disk_comes_back(wanted, &then)?;
    let host = match &vm.resident_on {
        Some(host) => host.clone(),
        None => host::named(&Host::all(&xe)?, &args.of.host)?.uuid.clone(),
    };
    let names = Names::look_up(&xe, &conf, message.as_ref(), uuid, vm_id, &before)?;
    let now = revert(&xe, &vm, &host, &found, &before)?;
    replaced::clear(&xe, &before, &then, &now);
    let other_nics = wanted.filter(|wanted| !nics::are_those_of(&found, wanted));
    if !found.has_memory {
        nics::put_right(&xe, uuid, other_nics);
    }
    let (runs, right) = parallel::both(|| go_on(&xe, uuid, &host, &found), || names.put_right(&now));
    runs?;
    right?;
    if found.has_memory {
        nics::put_right(&xe, uuid, other_nics);
    }
    insert_discs(&xe, &before, &now);
    checks::warn_of_size(wanted, &found);
    Ok(String::new())
}

/// XAPI powers the VM off first: if it then fails, the VM is started again with the disks that it has.
fn revert(xe: &Xe, vm: &vm::Vm, host: &Uuid, to: &Snapshot, before: &[Vbd]) -> Result<Vec<Vbd>> {
    let undo = Undo::new(xe);
    if vm.power_state == PowerState::Running {
        undo.by(vm::start(&vm.uuid, host));
    }
    let reverted = xe.run_within(&snapshot::revert(&to.uuid), xe.transfer_limit);
    let now = match (&reverted, Vbd::of_vm(xe, &vm.uuid)) {
        // What follows must be done, also by a driver that is told to stop.
        (Ok(_), Ok(now)) => now,
        (_, now) => now.context("after a failure")?,
    };
    match reverted {
        Err(error) if !has_other_disks(before, &now) => {
            Err(error).with_context(|| format!("cannot bring VM {} back to snapshot {}", vm.uuid, to.uuid))
        }
        _ => {
            undo.keep();
            Ok(now)
        }
    }
}

fn has_other_disks(before: &[Vbd], now: &[Vbd]) -> bool {
    let disks = |vbds: &[Vbd]| -> Vec<Uuid> {
        vbds.iter().filter(|vbd| vbd.kind == Kind::Disk).filter_map(|vbd| vbd.vdi_uuid.clone()).collect()
    };
    let (before, now) = (disks(before), disks(now));
    !now.is_empty() && !now.iter().any(|vdi| before.contains(vdi))
}

/// Where the answer fails to come, the VM's state tells.
fn go_on(xe: &Xe, uuid: &Uuid, host: &Uuid, from: &Snapshot) -> Result<()> {
    let call = if from.has_memory { vm::resume(uuid, host) } else { vm::start(uuid, host) };
    let Err(error) = xe.run_within(&call, xe.transfer_limit) else { return Ok(()) };
    if find(xe, uuid)?.is_running_on(host) {
        report::warn(format!("VM {uuid} runs, but: {error:#}"));
        return Ok(());
    }
    Err(not_here(error, &format!("VM {uuid} is back at its snapshot and cannot go on")))
}

/// A disc that was put in since the snapshot, whose own disc is gone, goes in again.
fn insert_discs(xe: &Xe, before: &[Vbd], now: &[Vbd]) {
    for old in before.iter().filter(|vbd| vbd.kind == Kind::Cd) {
        let Some(disc) = &old.vdi_uuid else { continue };
        let same = |vbd: &&Vbd| vbd.userdevice == old.userdevice && vbd.vdi_uuid.is_none();
        if let Some(drive) = now.iter().find(same)
            && let Err(error) = xe.run(&vbd::insert(&drive.uuid, disc))
        {
            report::warn(format!("the drive {} stays empty: {error:#}", old.userdevice));
        }
    }
}
