//! `snapshot_revert`: the VM goes on from a snapshot, in its memory if the snapshot has it, else from its start.
//!
//! XAPI puts new VDIs in the place of the VM's, without tags: what named the old ones is put right.

mod names;
mod nics;

use super::Caller;
use super::snapshot_delete::{self, check_is_of};
use super::suspending::{find, not_here};
use crate::one::{Message, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::{mark, memory};
use crate::undo::Undo;
use crate::xe::host::{self, Host};
use crate::xe::snapshot::{self, Snapshot};
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail};
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
    let vm_id = message.as_ref().map(|message| message.vm.vm_id).or(args.of.vm_id);
    let vm_id = vm_id.context("neither arguments nor message tell OpenNebula's number of the VM")?;
    let xe = caller.xe(&conf, &args.of.host)?;
    let _lock = Caller::lock(&xe, Some(vm_id))?;
    let ((vm, found), marked) = parallel::both(
        || parallel::both(|| find(&xe, uuid), || Snapshot::find(&xe, &wanted)),
        || Vbd::with_other_config(&xe, mark::VM_ID, &vm_id.to_string()),
    );
    let (vm, marked) = (vm?, marked?);
    let of = |owner: &Uuid| marked.iter().filter(|(of, _)| of == owner).map(|(_, vbd)| vbd.clone()).collect();
    let (before, then): (Vec<Vbd>, Vec<Vbd>) = (of(uuid), of(&wanted));
    let found = found?.with_context(|| format!("the pool has no snapshot {wanted}"))?;
    check_is_of(&found, uuid)?;
    check_no_disk_is_newer(&before, &then)?;
    let wanted = message.as_ref().map(|message| &message.vm);
    check_no_disk_comes_back(wanted, &then)?;
    let host = match &vm.resident_on {
        Some(host) => host.clone(),
        None => host::named(&Host::all(&xe)?, &args.of.host)?.uuid.clone(),
    };
    let names = Names::look_up(&xe, &conf, message.as_ref(), uuid, vm_id, &before)?;
    let now = revert(&xe, &vm, &host, &found, &before)?;
    clear_replaced(&xe, &before, &then, &now);
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
    warn_of_size(wanted, &found);
    Ok(String::new())
}

/// The disk would be in no VM afterwards, with all that the guest has written to it.
fn check_no_disk_is_newer(now: &[Vbd], then: &[Vbd]) -> Result<()> {
    for vbd in now.iter().filter(|vbd| vbd.kind == Kind::Disk && vbd.vdi_uuid.is_some()) {
        let Some(disk_id) = mark::disk_id(vbd) else { continue };
        let is_same =
            |old: &&Vbd| mark::disk_id(old) == Some(disk_id) && mark::image_id(old) == mark::image_id(vbd);
        if !then.iter().any(|old| is_same(&old)) {
            bail!(
                "disk {disk_id} was attached after the snapshot was taken, which knows nothing of it: detach it first"
            );
        }
    }
    Ok(())
}

/// OpenNebula would know nothing of the disk: nobody would bring back what the guest writes there, or remove it.
fn check_no_disk_comes_back(wanted: Option<&Vm>, then: &[Vbd]) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    for vbd in then.iter().filter(|vbd| vbd.kind == Kind::Disk && vbd.vdi_uuid.is_some()) {
        let Some(disk_id) = mark::disk_id(vbd) else { continue };
        let is_context = wanted.context.as_ref().is_some_and(|disc| disc.disk_id == disk_id);
        if !is_context && !wanted.disks.iter().any(|disk| mark::is_of(vbd, disk)) {
            bail!(
                "disk {disk_id} of the snapshot was detached after it was taken, and would come back unknown to \
                 OpenNebula: attach it again first, or delete the snapshot"
            );
        }
    }
    Ok(())
}

/// A revert takes back a resize too, of which OpenNebula learns nothing.
fn warn_of_size(wanted: Option<&Vm>, then: &Snapshot) {
    let Some(wanted) = wanted else { return };
    if memory::limits(wanted).dynamic_max_bytes != then.memory_bytes || wanted.vcpu != then.vcpus {
        report::warn(format!(
            "the VM has the size of its snapshot again, {} MB and {} VCPUs, not the {} MB and {} VCPUs that OpenNebula \
             counts: it gets those when it is powered off and resumed",
            then.memory_bytes / memory::MIB,
            then.vcpus,
            wanted.memory_mb,
            wanted.vcpu
        ));
    }
}

/// A disk that was detached and attached again since has another VDI than the snapshot was taken of: XAPI does not
/// count that one among the VM's, and leaves it in no VM (xapi_vm_snapshot.ml `vm_disks_with_snapshot`).
fn clear_replaced(xe: &Xe, before: &[Vbd], then: &[Vbd], now: &[Vbd]) {
    let stamp = |vbd: &Vbd| vbd.other_config(mark::FILE_STAMP).map(str::to_owned);
    for old in before.iter().filter(|vbd| vbd.kind == Kind::Disk && mark::goes_with_vm(vbd)) {
        let is_same = |vbd: &&Vbd| mark::disk_id(vbd).is_some() && mark::disk_id(vbd) == mark::disk_id(old);
        let is_filled_anew = then.iter().find(is_same).is_some_and(|vbd| stamp(vbd) != stamp(old));
        let Some(vdi) =
            old.vdi_uuid.as_ref().filter(|_| is_filled_anew && now.iter().any(|vbd| is_same(&vbd)))
        else {
            continue;
        };
        let cleared = Vdi::find(xe, vdi).and_then(|left| match left {
            Some(left) if left.vbds == 0 => xe.run(&vdi::destroy(vdi)).map(drop),
            _ => Ok(()),
        });
        if let Err(error) = cleared {
            report::warn(format!(
                "VDI {vdi}, a disk of the VM until the revert, may be left over: {error:#}"
            ));
        }
    }
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
