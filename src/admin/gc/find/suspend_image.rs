//! Images of VMs' memory.

use crate::admin::gc::inventory::Inventory;
use crate::admin::gc::leftover::{Kind, Leftover, Removal};
use crate::lock::VmLock;
use crate::translate::mark;
use crate::xe::Uuid;
use std::collections::HashSet;

/// A memory image of one of our VMs that nothing can be resumed from: no VM and no snapshot names it.
pub fn of_none(pool: &Inventory) -> Vec<Leftover> {
    let of_vms = pool.ours.iter().map(|vm| (vm.vm_id, vm.vm.uuid.clone()));
    let of_snapshots = pool.snapshots.iter().filter_map(|snapshot| snapshot.of.clone());
    let of_vdis = pool
        .vdis
        .iter()
        .filter_map(|vdi| Some((mark::disk_of_vdi(&vdi.tags)?.0, mark::vm_of_vdi(&vdi.tags)?)));
    let ours: HashSet<(u32, Uuid)> = of_vms.chain(of_snapshots).chain(of_vdis).collect();
    let is_busy = |uuid: &Uuid| pool.ours.iter().any(|vm| vm.vm.uuid == *uuid && vm.more.is_busy);
    let unnamed = pool.suspend_images.iter().filter(|image| !pool.suspended_to.contains(&image.uuid));
    let leftover = unnamed.filter(|image| !is_busy(&image.vm)).filter_map(|image| {
        let (vm_id, _) = ours.iter().find(|(_, vm)| *vm == image.vm)?;
        let why = "no VM and no snapshot can be resumed from it";
        Some(Leftover::remove(Kind::SuspendImage, &image.uuid, *vm_id, why, Removal::SuspendImage))
    });
    leftover.filter(|leftover| !VmLock::is_held(leftover.vm_id)).collect()
}
