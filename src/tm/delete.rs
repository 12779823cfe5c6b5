//! `delete HOST:PATH/disk.N VM_ID DS_ID` and `delete HOST:PATH VM_ID DS_ID`: a disk that is not wanted any more; the
//! VM's folder, and whatever of the VM is still in the pool.

use super::place::Place;
use super::{Call, disk, increments, records};
use crate::action::leave::{STILL_IN_USE, remove};
use crate::report::{self, Result};
use crate::storage::{lineage, snapshot};
use crate::xe::vbd::Vbd;
use crate::xe::{PowerState, Xe, failed_with, vm};
use anyhow::{Context, bail, ensure};

pub fn run(call: &Call) -> Result<String> {
    let place: Place = call.word(0, "the place")?;
    let vm_id: u32 = call.word(1, "the VM's id")?;
    let xe = call.xe(&place, call.word(2, "the datastore's id")?)?;
    if let Some(disk_id) = place.disk_id() {
        remove_disk(&xe, &place, vm_id, disk_id)?;
    } else {
        // Anything else could be a whole datastore.
        ensure!(place.path.ends_with(&format!("/{vm_id}")), "{place} is not the folder of VM {vm_id}");
        remove_vm(&xe, vm_id)?;
    }
    place.remove()?;
    Ok(String::new())
}

/// Removes what was made for the disk. A persistent image was not, and stays.
fn remove_disk(xe: &Xe, place: &Place, vm_id: u32, disk_id: u32) -> Result<()> {
    for vdi in disk::made_for(xe, place, vm_id, disk_id)? {
        snapshot::delete_all(xe, &lineage::key(&vdi))?;
        if vdi.vbds > 0 {
            end_suspended(xe, vm_id)?;
        }
        STILL_IN_USE.run(|| snapshot::destroy(xe, &vdi.uuid), is_in_use)?;
    }
    Ok(())
}

fn is_in_use(error: &anyhow::Error) -> bool {
    failed_with(error, &["VDI_IN_USE"])
}

/// Ends the VM if it is suspended: XAPI lets nobody destroy a VDI that a suspended VM has. OpenNebula calls nothing
/// else when it terminates a VM that is suspended or stopped.
fn end_suspended(xe: &Xe, vm_id: u32) -> Result<()> {
    for vm in records::of(xe, vm_id)? {
        if vm.power_state == PowerState::Suspended {
            xe.run(&vm::hard_shutdown(&vm.uuid))
                .with_context(|| format!("cannot end suspended VM {}", vm.uuid))?;
        }
    }
    Ok(())
}

/// Removes the VM's records, its snapshots, and the VDIs that were made for it and not for a datastore. OpenNebula
/// calls nothing else when it terminates a VM that is off.
fn remove_vm(xe: &Xe, vm_id: u32) -> Result<()> {
    let vms = records::of(xe, vm_id)?;
    increments::clear(xe, vm_id, &[])?;
    for vm in vms {
        remove::check_allowed(&vm)?;
        match vm.power_state {
            PowerState::Halted => {}
            PowerState::Suspended => drop(xe.run(&vm::hard_shutdown(&vm.uuid))?),
            state => bail!("VM {} is {state}: it is not removed", vm.uuid),
        }
        report::info(format!("removing VM {}, which was kept in the pool", vm.uuid));
        let vbds = Vbd::of_vm(xe, &vm.uuid)?;
        remove::run(xe, &vm.uuid, &vbds)?;
    }
    Ok(())
}
