//! What an earlier deployment of the same VM has left in the pool: a running VM, a halted one whose disks
//! hold what the guest wrote last, or the remains of a driver that was killed.

use super::halted::Halted;
use super::pool::Pool;
use crate::one;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};

/// What there is. `older`: VMs that it has replaced, and that a driver was killed before it removed.
pub enum Found {
    Nothing,
    /// It runs where it should.
    Running {
        uuid: Uuid,
        older: Vec<Halted>,
    },
    /// It is halted, and all of its disks are complete.
    Halted {
        newest: Halted,
        older: Vec<Halted>,
    },
    /// As Halted, and its record cannot be replaced: it has snapshots, or is protected from deletion.
    Kept(vm::Vm),
}

/// A list by mark may be shorter than the pool: the record that OpenNebula knows is asked for by its uuid where the list
/// has no record at all, before the VM is made anew from its files.
///
/// # Errors
///
/// The pool has that record, with the VM's mark.
pub fn check_list(xe: &Xe, there: &[vm::Vm], vm: &one::Vm) -> Result<()> {
    let Ok(deploy_id) = vm.deploy_id.parse::<Uuid>() else { return Ok(()) };
    if !there.is_empty() {
        return Ok(());
    }
    let known = vm::Vm::find(xe, &deploy_id)?;
    let id = vm.vm_id.to_string();
    let is_listed_wrongly = known.is_some_and(|known| known.other_config(mark::VM_ID) == Some(id.as_str()));
    ensure!(
        !is_listed_wrongly,
        "xe vm-list {}={id} answers without VM {deploy_id}, which has this mark: VM {id} is not made a second time",
        format_args!("other-config:{}", mark::VM_ID)
    );
    Ok(())
}

/// Sorts out what carries the VM's mark, and clears away what a killed driver left.
///
/// A record that never started is a leftover while the one that it was to replace is there: that one's disks hold what
/// the guest wrote last, whichever of them the new record has already.
///
/// Pushes what it clears away to `cleared`.
pub fn find(
    xe: &Xe,
    pool: &Pool,
    there: Vec<vm::Vm>,
    vm: &one::Vm,
    cleared: &mut Vec<Uuid>,
) -> Result<Found> {
    let (running, halted): (Vec<vm::Vm>, Vec<vm::Vm>) = there
        .into_iter()
        .filter(mark::is_original)
        .partition(|there| there.power_state != PowerState::Halted);
    if let Some(running) = running.into_iter().next() {
        if running.power_state == PowerState::Suspended {
            wake(xe, pool, &running)?;
        } else {
            check_runs_here(pool, vm, &running)?;
        }
        let replaced = halted.into_iter().filter(|old| mark::replaces(&running, &old.uuid));
        let older = replaced.map(|old| Halted::look_up(xe, old.uuid)).collect::<Result<_>>()?;
        return Ok(Found::Running { uuid: running.uuid, older });
    }
    let uuids: Vec<Uuid> = halted.iter().map(|old| old.uuid.clone()).collect();
    let mut complete: Vec<(vm::Vm, Halted)> = Vec::new();
    for old in halted {
        let found = Halted::look_up(xe, old.uuid.clone())?;
        let vdis = Vdi::with_tag(xe, &mark::vdi_tag(&old.uuid))?;
        if is_leftover(xe, vm.vm_id, &old, &found.vbds, &vdis, &uuids)? {
            clear(xe, &old.uuid, &found.vbds, &vdis).context("leftover of an earlier deployment")?;
            cleared.push(old.uuid);
        } else {
            complete.push((old, found));
        }
    }
    let all: Vec<vm::Vm> = complete.iter().map(|(old, _)| old.clone()).collect();
    let is_replaced = |(old, _): &(vm::Vm, Halted)| all.iter().any(|other| mark::replaces(other, &old.uuid));
    let (older, mut newest): (Vec<_>, Vec<_>) = complete.into_iter().partition(is_replaced);
    let Some((record, found)) = newest.pop() else { return Ok(Found::Nothing) };
    if let Some((other, _)) = newest.pop() {
        bail!(
            "VM {} is in the pool twice, as {} and {}: remove the one that is not wanted",
            vm.vm_id,
            record.uuid,
            other.uuid
        );
    }
    if record.snapshots > 0 || record.is_protected {
        return Ok(Found::Kept(record));
    }
    Ok(Found::Halted { newest: found, older: older.into_iter().map(|(_, old)| old).collect() })
}

/// Whether a halted record is what a driver has left that was killed, or whose undo failed. `halted`: all halted
/// records of the VM.
fn is_leftover(
    xe: &Xe,
    vm_id: u32,
    old: &vm::Vm,
    vbds: &[Vbd],
    vdis: &[Vdi],
    halted: &[Uuid],
) -> Result<bool> {
    if old.has_started {
        return Ok(false);
    }
    let is_complete = is_complete(vm_id, vbds, vdis);
    let Some(replaced) = mark::replaced(old) else { return Ok(!is_complete) };
    // A list may be shorter than the pool: the one that counts is asked for by its uuid.
    if halted.contains(&replaced) || vm::Vm::find(xe, &replaced)?.is_some() {
        return Ok(true);
    }
    ensure!(
        is_complete,
        "VM {} was to replace VM {replaced}, never started and lacks disks, and VM {replaced} is not in the pool: look \
         whether VDIs with the tag {} hold data that is wanted; one-xcp gc removes the VM",
        old.uuid,
        mark::vdi_tag(&replaced)
    );
    Ok(false)
}

/// A VM that is not halted may only be running on the host it is to run on.
fn check_runs_here(pool: &Pool, vm: &one::Vm, there: &vm::Vm) -> Result<()> {
    if there.is_running_on(&pool.host.uuid) {
        return Ok(());
    }
    bail!(
        "VM {} is {} in the pool as {}{}: it is not started twice",
        vm.vm_id,
        there.power_state,
        there.uuid,
        there.resident_on.as_ref().map(|host| format!(" on host {host}")).unwrap_or_default()
    )
}

/// A suspended VM holds writes in its memory that its disks have not: it goes on with them.
fn wake(xe: &Xe, pool: &Pool, there: &vm::Vm) -> Result<()> {
    report::warn(format!("VM {} is suspended in the pool: it goes on where it was, unchanged", there.uuid));
    let Err(error) = xe.run_within(&vm::resume(&there.uuid, &pool.host.uuid), xe.transfer_limit) else {
        return Ok(());
    };
    if vm::Vm::find(xe, &there.uuid)?.is_some_and(|now| now.is_running_on(&pool.host.uuid)) {
        return Ok(());
    }
    Err(error).with_context(|| {
        format!("VM {} is suspended in the pool, and cannot go on (cancel gives its memory up)", there.uuid)
    })
}

/// A disk's VBD gets its mark when the disk's bytes are all in its VDI, and the VM is started only then. So a
/// VM with a VDI for a disk of which it has no marked VBD never ran.
///
/// The disk's number decides and not the VDI: a copy that somebody made of a VDI has its tags.
pub fn is_complete(vm_id: u32, vbds: &[Vbd], vdis: &[Vdi]) -> bool {
    let marked: Vec<u32> = vbds.iter().filter_map(mark::disk_id).collect();
    let has_its_disk = |vdi: &Vdi| {
        let disk_id = mark::disk_id_of_vdi(vm_id, &vdi.tags);
        vdi.is_a_snapshot || disk_id.is_some_and(|disk_id| marked.contains(&disk_id))
    };
    !marked.is_empty() && vdis.iter().all(has_its_disk)
}

/// Removes a VM that never ran, and the VDIs that were made for it and that nobody else uses. The VM goes
/// last: while it is there, what is left of it can be found.
pub fn clear(xe: &Xe, uuid: &Uuid, vbds: &[Vbd], vdis: &[Vdi]) -> Result<()> {
    report::info(format!("clearing away what an earlier deployment left: VM {uuid}"));
    let only_ours = |vdi: &Vdi| {
        let is_in_ours = vbds.iter().any(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid));
        vdi.vbds == usize::from(is_in_ours)
    };
    for left in vdis.iter().filter(|vdi| only_ours(vdi) && !vdi.is_a_snapshot) {
        xe.run(&vdi::destroy(&left.uuid))?;
    }
    xe.run(&vm::destroy(uuid)).map(drop)
}
