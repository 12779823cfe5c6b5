//! VDIs that a revert leaves in no VM.

use crate::report;
use crate::translate::mark;
use crate::xe::Xe;
use crate::xe::vbd::{Kind, Vbd};
use crate::xe::vdi::{self, Vdi};

/// A disk that was detached and attached again since has another VDI than the snapshot was taken of: XAPI does not
/// count that one among the VM's, and leaves it in no VM (xapi_vm_snapshot.ml `vm_disks_with_snapshot`).
pub fn clear(xe: &Xe, before: &[Vbd], then: &[Vbd], now: &[Vbd]) {
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
