//! What is in the pool although the call that made it never answered, or its driver was killed before it could
//! mark it.

use crate::action::in_progress;
use crate::report;
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::{Record, Uuid, Xe, vdi, vm};

/// Removes the VM that a driver had made and not yet marked when it was killed.
pub fn clear_vm(xe: &Xe, vm_id: u32) {
    find_vm(xe, &Undo::new(xe), &mark::unmarked_vm_name(vm_id));
}

/// Waits for what may still be made by a call that was given up; `began`: seconds since 1970.
pub fn wait(xe: &Xe, began: u64) {
    if let Err(error) = in_progress::wait_for_made(xe, Some(began)) {
        report::warn(format!("XAPI may still be at work for a call that was given up: {error:#}"));
    }
}

/// A VM whose `vm-install` failed to answer may be there all the same: halted, under the name that only
/// VMs without a mark have.
pub fn find_vm(xe: &Xe, undo: &Undo<'_>, name: &str) {
    let read = |record: &Record<'_>| {
        let is_marked = record.map_value("other-config", mark::VM_ID).is_some();
        (!is_marked).then(|| record.get::<Uuid>("uuid")).transpose()
    };
    let filters = [("name-label", name), ("power-state", "halted")];
    match xe.list("vm", &["uuid", "other-config"], &filters, read) {
        Ok(found) => found.into_iter().flatten().for_each(|uuid| undo.by(vm::uninstall(&uuid))),
        Err(error) => report::warn(format!("a VM {name} may be left in the pool: {error:#}")),
    }
}

/// A VDI whose `vdi-create` failed to answer may be there all the same: its tag tells.
pub fn find_vdis(xe: &Xe, undo: &Undo<'_>, uuid: &Uuid) {
    let tag = mark::vdi_tag(uuid);
    match vdi::Vdi::with_tag(xe, &tag) {
        Ok(found) => found.into_iter().for_each(|vdi| undo.by(vdi::destroy(&vdi.uuid))),
        Err(error) => report::warn(format!("VDIs with the tag {tag} may be left in the pool: {error:#}")),
    }
}

/// Once more at the end: what a killed driver had asked for may have been made after the VM with this uuid was cleared
/// away, which never ran.
pub fn clear_vdis(xe: &Xe, vm: &Uuid) {
    let undo = Undo::new(xe);
    match vdi::Vdi::with_tag(xe, &mark::vdi_tag(vm)) {
        Ok(found) => {
            let unused = found.into_iter().filter(|vdi| vdi.vbds == 0 && !vdi.is_a_snapshot);
            unused.for_each(|vdi| undo.by(vdi::destroy(&vdi.uuid)));
        }
        Err(error) => report::warn(format!("VDIs of VM {vm} may be left in the pool: {error:#}")),
    }
}
