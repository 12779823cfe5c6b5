//! A VM that is off and has snapshots, or is protected from deletion: its record cannot be replaced. So the record is
//! made what OpenNebula wants by now: parameters, memory, disks, context disc and NICs.
//!
//! What OpenNebula has taken from the VM stays taken when a later step fails; what is added is taken back.

use super::build;
use super::halted::{self, Halted};
use super::plan::{Plan, PlannedDisk, Source};
use super::pool::Pool;
use crate::action::leave::discs;
use crate::one::{Nic, Vm};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::{device, mark, vif};
use crate::undo::Undo;
use crate::xe::network::{self, Vif};
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, vm};
use anyhow::Context;

/// Starts the record that is there, on the pool's host.
pub fn restart(xe: &Xe, pool: &Pool, vm: &Vm, plan: Plan, record: &vm::Vm) -> Result<()> {
    let uuid = &record.uuid;
    report::info(format!("VM {uuid} {}: its record is used again", mark::why_kept(record)));
    let ((there, tagged), vifs) = parallel::both(
        || parallel::both(|| Halted::look_up(xe, uuid.clone()), || Vdi::with_tag(xe, &mark::vdi_tag(uuid))),
        || Vif::of_vm(xe, uuid),
    );
    let (mut there, vifs) = (there?, vifs?);
    clear_incomplete(xe, &mut there, &tagged?)?;
    let there = there.with_disks(xe, vm, &plan)?;
    let mut plan = plan.adopting(Some(&there))?;
    keep_places(&mut plan, &there.vbds)?;
    super::warn_of_unsupported(vm, &plan);
    let undo = Undo::new(xe);
    set_up(xe, &plan, uuid)?;
    let removed = remove_disks(xe, &there, &plan)?;
    let vifs = remove_nics(xe, vm, vifs)?;
    add_disks(xe, &undo, pool, vm, &plan, &there)?;
    set_nics(xe, &undo, pool, vm, uuid, &vifs)?;
    build::start(xe, &undo, pool, vm, uuid)?;
    undo.keep();
    dispose(xe, &plan, &removed);
    dispose_discs(xe, uuid, &removed);
    Ok(())
}

fn set_up(xe: &Xe, plan: &Plan, uuid: &Uuid) -> Result<()> {
    let (set, memory) = parallel::both(
        || xe.run(&vm::set(uuid).set_all(plan.params.iter().cloned())),
        || build::set_memory(xe, uuid, &plan.memory),
    );
    set.context("cannot set up the VM")?;
    memory.context("cannot set the VM's memory")
}

/// A disk's VBD is marked when its bytes are all in its VDI: one that is not was being made by a driver that was
/// killed.
fn clear_incomplete(xe: &Xe, there: &mut Halted, tagged: &[Vdi]) -> Result<()> {
    let is_ours = |vdi: &Uuid| tagged.iter().any(|tagged| tagged.uuid == *vdi && tagged.vbds == 1);
    let is_incomplete =
        |vbd: &Vbd| mark::disk_id(vbd).is_none() && vbd.vdi_uuid.as_ref().is_some_and(is_ours);
    for vbd in there.vbds.iter().filter(|vbd| is_incomplete(vbd)) {
        xe.run(&vbd::destroy(&vbd.uuid))?;
        let Some(vdi) = &vbd.vdi_uuid else { continue };
        xe.run(&vdi::destroy(vdi))?;
    }
    there.vbds.retain(|vbd| !is_incomplete(vbd));
    Ok(())
}

/// Whether the VM has this disk already, as it is to be.
fn has(vbd: &Vbd, disk: &PlannedDisk) -> bool {
    match &disk.source {
        Source::Vdi { vdi, .. } => vbd.vdi_uuid.as_ref() == Some(vdi),
        Source::Image { .. } => {
            vbd.vdi_uuid.is_some()
                && halted::is_of(vbd, disk)
                && (vbd.kind == Kind::Disk || discs::is_unchanged(vbd))
                && vbd.other_config(mark::FILE_STAMP) == Some(disk.stamp.as_str())
        }
    }
}

/// Disks that are there stay in their places; one that comes gets a place that is free.
fn keep_places(plan: &mut Plan, vbds: &[Vbd]) -> Result<()> {
    let place = |vbd: &Vbd| device::place_of(&vbd.userdevice);
    let is_anothers = |vbd: &&Vbd| mark::disk_id(vbd).is_none() && vbd.vdi_uuid.is_some();
    let mut taken: Vec<u32> = vbds.iter().filter(is_anothers).filter_map(place).collect();
    let mut coming = Vec::new();
    for disk in &mut plan.disks {
        match vbds.iter().find(|vbd| has(vbd, disk)).and_then(place) {
            Some(there) => {
                disk.slot.device = there;
                taken.push(there);
            }
            None => coming.push(&mut disk.slot),
        }
    }
    let first = taken.iter().min().copied();
    for slot in coming {
        if taken.contains(&slot.device) {
            let free = device::free_behind(first, |device| !taken.contains(&device));
            slot.device = free.context("the VM has no free place for another disk")?;
        }
        taken.push(slot.device);
    }
    Ok(())
}

/// Takes away the disks that OpenNebula has detached or changed, and empty drives where one is to come.
fn remove_disks(xe: &Xe, there: &Halted, plan: &Plan) -> Result<Vec<Vbd>> {
    let is_in_the_way = |vbd: &&Vbd| {
        let comes = |disk: &PlannedDisk| !there.vbds.iter().any(|vbd| has(vbd, disk));
        let takes_slot = |disk: &&PlannedDisk| vbd.userdevice == disk.slot.device.to_string() && comes(disk);
        let is_empty_drive = vbd.kind == Kind::Cd && vbd.vdi_uuid.is_none();
        if is_empty_drive {
            return plan.disks.iter().find(takes_slot).is_some();
        }
        mark::disk_id(vbd).is_some() && !plan.disks.iter().any(|disk| has(vbd, disk))
    };
    let removed: Vec<Vbd> = there.vbds.iter().filter(is_in_the_way).cloned().collect();
    for vbd in &removed {
        xe.run(&vbd::destroy(&vbd.uuid))?;
    }
    Ok(removed)
}

fn add_disks(xe: &Xe, undo: &Undo<'_>, pool: &Pool, vm: &Vm, plan: &Plan, there: &Halted) -> Result<()> {
    let added = parallel::map(&plan.disks, |disk| match &disk.source {
        Source::Vdi { vdi, at_least_bytes } if there.vbds.iter().any(|vbd| has(vbd, disk)) => {
            build::grow(xe, vdi, *at_least_bytes)
        }
        _ if there.vbds.iter().any(|vbd| has(vbd, disk)) => Ok(()),
        _ => build::add_disk(xe, undo, pool, vm, &there.uuid, disk)
            .with_context(|| format!("disk {}", disk.slot.disk_id)),
    });
    added.into_iter().collect()
}

/// Removes NICs that OpenNebula has detached, and ones that a killed driver was making; gives back the others.
fn remove_nics(xe: &Xe, vm: &Vm, vifs: Vec<Vif>) -> Result<Vec<Vif>> {
    let is_ours = |vif: &Vif| {
        mark::nic_id(vif).is_some() || vm.nics.iter().any(|nic| vif.mac.eq_ignore_ascii_case(&nic.mac))
    };
    let goes = |vif: &Vif| is_ours(vif) && !vm.nics.iter().any(|nic| is_of(vif, nic));
    let (gone, stay): (Vec<Vif>, Vec<Vif>) = vifs.into_iter().partition(goes);
    for vif in &gone {
        xe.run(&network::destroy_vif(&vif.uuid))?;
    }
    Ok(stay)
}

fn is_of(vif: &Vif, nic: &Nic) -> bool {
    mark::nic_id(vif) == Some(nic.nic_id) && vif.mac.eq_ignore_ascii_case(&nic.mac)
}

/// Limits, filters and the network of NICs that are there may have changed as well.
fn set_nics(xe: &Xe, undo: &Undo<'_>, pool: &Pool, vm: &Vm, uuid: &Uuid, vifs: &[Vif]) -> Result<()> {
    let kept: Vec<&Vif> = vifs.iter().filter(|vif| vm.nics.iter().any(|nic| is_of(vif, nic))).collect();
    // Somebody else's have their numbers too.
    let taken: Vec<&str> = vifs.iter().map(|vif| vif.device.as_str()).collect();
    let mut free = (0_usize..).filter(|device| !taken.contains(&device.to_string().as_str()));
    for (nic, network) in vm.nics.iter().zip(&pool.networks) {
        match kept.iter().find(|vif| is_of(vif, nic)) {
            Some(vif) => set_nic(xe, nic, vm, vif, network),
            None => build::add_nic(xe, undo, vm, uuid, free.next().unwrap_or_default(), nic, network),
        }
        .with_context(|| format!("NIC {}", nic.nic_id))?;
    }
    Ok(())
}

fn set_nic(xe: &Xe, nic: &Nic, vm: &Vm, there: &Vif, network: &Uuid) -> Result<()> {
    let params = vif::params_again(nic, &vm.template, there)?;
    xe.run(&network::set_vif(&there.uuid).set_all(params))?;
    if there.network_uuid.as_ref() != Some(network) {
        xe.run(&network::move_vif(&there.uuid, network))?;
    }
    Ok(())
}

/// The VDIs of what was taken away: of a disk that was made anew the old one goes, unless a snapshot has it too;
/// of a disk that was detached it stays, as OpenNebula's file may be older than it.
fn dispose(xe: &Xe, plan: &Plan, removed: &[Vbd]) {
    for vbd in removed.iter().filter(|vbd| vbd.kind == Kind::Disk && mark::goes_with_vm(vbd)) {
        let Some(vdi) = &vbd.vdi_uuid else { continue };
        if !plan.disks.iter().any(|disk| halted::is_of(vbd, disk)) {
            report::warn(format!("VDI {vdi}, a disk of the VM until it was detached, is kept in the pool"));
            continue;
        }
        let gone = Vdi::find(xe, vdi).and_then(|found| match found {
            Some(found) if found.vbds == 0 => xe.run(&vdi::destroy(vdi)).map(drop),
            _ => Ok(()),
        });
        if let Err(error) = gone {
            report::warn(format!("VDI {vdi} is left over: {error:#}"));
        }
    }
}

/// The discs that were made for the drives that were taken away, ejected ones as well; not those that a snapshot has.
fn dispose_discs(xe: &Xe, vm: &Uuid, removed: &[Vbd]) {
    let disposed = discs::of_removed_drives(xe, vm, removed)
        .and_then(|discs| discs.iter().try_for_each(|disc| xe.run(&vdi::destroy(disc)).map(drop)));
    if let Err(error) = disposed {
        report::warn(format!("a disc of before is left over: {error:#}"));
    }
}
