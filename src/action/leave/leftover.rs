//! What an earlier attempt has left of a VM whose record the pool has no more.

use crate::action::context_disc;
use crate::one::Message;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};

/// Destroys the VDIs that were made for the VM's disks and are in no VM, once OpenNebula ends the VM. One of a persistent
/// image stays and is named: nobody knows whether its file has all that the guest wrote.
pub fn remove(xe: &Xe, uuid: &Uuid, message: &Message) -> Result<()> {
    let vm = &message.vm;
    if !vm.lcm_state.ends_the_vm() {
        return disc(xe, uuid, message);
    }
    let of_disk = |vdi: &Vdi| mark::disk_id_of_vdi(vm.vm_id, &vdi.tags);
    let is_persistent =
        |disk_id: u32| vm.disks.iter().any(|disk| disk.disk_id == disk_id && disk.is_wanted_back(true));
    let is_known = |disk_id: u32| {
        vm.disks.iter().any(|disk| disk.disk_id == disk_id)
            || vm.context.as_ref().is_some_and(|disc| disc.disk_id == disk_id)
    };
    for left in Vdi::with_tag(xe, &mark::vdi_tag(uuid))? {
        let Some(disk_id) = of_disk(&left).filter(|disk_id| is_known(*disk_id)) else { continue };
        if left.vbds > 0 || left.is_a_snapshot {
            continue;
        }
        if is_persistent(disk_id) || left.has_tag(mark::PERSISTENT_TAG) {
            report::warn(format!(
                "VDI {}, disk {disk_id} of VM {}, is in the pool without its VM: look whether its file has its data",
                left.uuid, vm.vm_id
            ));
            continue;
        }
        xe.run(&vdi::destroy(&left.uuid))?;
    }
    Ok(())
}

/// A driver that was killed while it replaced the context disc, or before it removed it, has left one in no device of
/// the VM.
pub fn disc(xe: &Xe, uuid: &Uuid, message: &Message) -> Result<()> {
    let Some(disc) = &message.vm.context else { return Ok(()) };
    for left in context_disc::unanswered(xe, uuid, message.vm.vm_id, disc.disk_id)? {
        context_disc::destroy(xe, &left);
    }
    Ok(())
}
