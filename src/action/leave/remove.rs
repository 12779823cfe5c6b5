//! Removing a halted VM and the VDIs that go with it.

use super::{STILL_IN_USE, discs};
use crate::action::snapshot_delete;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::snapshot::Snapshot;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{PowerState, Uuid, Xe, failed_with, vdi, vm, xe_error};
use anyhow::{Context, bail, ensure};

/// Removes the VM and its own VDIs; the VDIs of `xcp` datastores, and those that somebody else attached, stay.
///
/// XAPI can do it in one call, which takes all VDIs whose VBD says `owner`. It is used only if those are
/// exactly the VM's own.
pub fn run(xe: &Xe, uuid: &Uuid, vbds: &[Vbd]) -> Result<()> {
    let discs = discs::of_drives(xe, uuid, vbds)?;
    if vbds.iter().all(|vbd| is_safe_to_uninstall(vbd, &discs)) {
        // The discs first: while the VM is there, one that is left is found when the action is repeated.
        let others = discs.iter().filter(|disc| !vbds.iter().any(|vbd| is_taken(vbd, disc)));
        destroy_all(xe, others).with_context(|| format!("cannot remove VM {uuid} from the pool"))?;
        let Err(error) = xe.run(&vm::uninstall(uuid)) else { return Ok(()) };
        return after_failure(xe, uuid, vbds, &discs, error);
    }
    one_by_one(xe, uuid, vbds, &discs).with_context(|| format!("cannot remove VM {uuid} from the pool"))
}

/// Makes sure that XAPI would let the VM be removed, before it is powered off or any of its disks or snapshots goes.
pub fn check_allowed(vm: &vm::Vm) -> Result<()> {
    ensure!(!vm.is_protected, protected(&vm.uuid));
    Ok(())
}

fn protected(uuid: &Uuid) -> String {
    format!(
        "VM {uuid} is protected from deletion (blocked-operations:destroy) and stays in the pool with its disks; to \
         allow it: xe vm-param-remove uuid={uuid} param-name=blocked-operations param-key=destroy"
    )
}

/// `vm-uninstall` destroys the VM's record first and its VDIs then (cli_operations.ml `vm_uninstall_common`): while the
/// record is there, nothing was destroyed, and nothing is if XAPI does not let the record go.
fn after_failure(xe: &Xe, uuid: &Uuid, vbds: &[Vbd], discs: &[Uuid], error: anyhow::Error) -> Result<()> {
    if failed_with(&error, &["OPERATION_BLOCKED"]) {
        return Err(error).context(protected(uuid));
    }
    let stays = || format!("cannot remove VM {uuid}: it stays in the pool with its disks");
    match vm::Vm::find(xe, uuid).with_context(stays)? {
        Some(now) if now.power_state != PowerState::Halted => return Err(error).with_context(stays),
        Some(_) => {
            report::warn(format!("removing VM {uuid} step by step: {error:#}"));
            snapshots(xe, uuid)?;
            done_or_gone(xe.run(&vm::destroy(uuid))).with_context(stays)?;
        }
        None => report::warn(format!("VM {uuid} is removed, but: {error:#}")),
    }
    destroy_all(xe, own_disks(vbds).chain(discs))
}

/// Whether `vm-uninstall` does what is wanted with what is behind this VBD. Drives of VMs that an earlier release of
/// the driver made have `owner`, and so have XAPI's copies of them (xapi_vm_clone.ml).
fn is_safe_to_uninstall(vbd: &Vbd, discs: &[Uuid]) -> bool {
    let is_owned = vbd.other_config(mark::OWNER).is_some();
    match vbd.kind {
        Kind::Disk => mark::goes_with_vm(vbd) == is_owned,
        Kind::Cd => !is_owned || vbd.vdi_uuid.is_none() || discs::goes_with_vm(vbd, discs),
    }
}

/// Whether `vm-uninstall` takes this VDI with the VBD.
fn is_taken(vbd: &Vbd, vdi: &Uuid) -> bool {
    vbd.other_config(mark::OWNER).is_some() && vbd.vdi_uuid.as_ref() == Some(vdi)
}

/// Removes a VM's snapshots with all that is theirs alone, one after the other: an SR destroys one VDI at a time
/// (xapi_sr_operations.ml).
///
/// Where the VM's drive has XAPI's `owner`, from an earlier release of the driver, its snapshots' drives have it too, and
/// the first snapshot would take the disc that all of them share (see [`snapshot_delete::shared_discs`]). The VM's own
/// disc goes before then, which empties all drives; a drive that holds another disc costs a call more.
pub fn snapshots(xe: &Xe, vm: &Uuid) -> Result<()> {
    let taken = Snapshot::of_vm(xe, vm)?;
    if taken.is_empty() {
        return Ok(());
    }
    let is_taken = |of: &Uuid| taken.iter().any(|snapshot| snapshot.uuid == *of);
    let drives = Vbd::drives(xe)?.into_iter();
    let drives: Vec<(Uuid, Vbd)> = drives.filter(|(of, _)| of == vm || is_taken(of)).collect();
    let is_owned = |drive: &Vbd| drive.other_config(mark::OWNER).is_some() && drive.vdi_uuid.is_some();
    let owned: Vec<&Vbd> =
        drives.iter().filter(|(of, drive)| is_taken(of) && is_owned(drive)).map(|(_, drive)| drive).collect();
    let mut gone = Vec::new();
    if !owned.is_empty() {
        let own = discs::in_drives(xe, vm, drives.iter().map(|(_, drive)| drive))?;
        gone.extend(own.into_iter().filter(|disc| done_or_gone(xe.run(&vdi::destroy(disc))).is_ok()));
    }
    let holds_another = |drive: &&&Vbd| !drive.vdi_uuid.as_ref().is_some_and(|disc| gone.contains(disc));
    let others: Vec<&&Vbd> = owned.iter().filter(holds_another).collect();
    for disowned in parallel::map(&others, |drive| xe.run(&vbd::disown(&drive.uuid))) {
        disowned?;
    }
    taken.iter().try_for_each(|snapshot| snapshot_delete::uninstall(xe, &snapshot.uuid))
}

/// Its snapshots go first: nothing could be found of them without the VM. The VM goes last: while it is there, what is left of it can be found when the action is repeated.
fn one_by_one(xe: &Xe, uuid: &Uuid, vbds: &[Vbd], discs: &[Uuid]) -> Result<()> {
    snapshots(xe, uuid)?;
    destroy_all(xe, own_disks(vbds).chain(discs))?;
    done_or_gone(xe.run(&vm::destroy(uuid)))
}

fn own_disks(vbds: &[Vbd]) -> impl Iterator<Item = &Uuid> {
    let own = vbds.iter().filter(|vbd| vbd.kind == Kind::Disk && mark::goes_with_vm(vbd));
    own.filter_map(|vbd| vbd.vdi_uuid.as_ref())
}

/// Destroys each of these VDIs that is in the pool; an error names those that are left.
fn destroy_all<'a>(xe: &Xe, vdis: impl Iterator<Item = &'a Uuid>) -> Result<()> {
    let mut left = Vec::new();
    for vdi in vdis {
        let removed = STILL_IN_USE
            .run(|| done_or_gone(xe.run(&vdi::destroy(vdi))), |error| failed_with(error, &["VDI_IN_USE"]));
        if let Err(error) = removed {
            report::warn(format!("{error:#}"));
            left.push(vdi.to_string());
        }
    }
    if !left.is_empty() {
        bail!("VDIs {} are left", left.join(", "));
    }
    Ok(())
}

fn done_or_gone(result: Result<String>) -> Result<()> {
    match result {
        Err(error) if xe_error(&error).is_some_and(crate::xe::XeError::is_gone) => Ok(()),
        other => other.map(drop),
    }
}
