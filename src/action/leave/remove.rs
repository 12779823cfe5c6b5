//! Removing a halted VM and the VDIs that go with it.

use super::STILL_IN_USE;
use crate::action::snapshot_delete;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::snapshot::Snapshot;
use crate::xe::vbd::Vbd;
use crate::xe::{Uuid, Xe, failed_with, vdi, vm, xe_error};
use anyhow::{Context, bail};

/// Removes the VM and its own VDIs; the VDIs of `xcp` datastores, and those that somebody else attached, stay.
///
/// XAPI can do it in one call, which takes all VDIs whose VBD says `owner`. It is used only if those are
/// exactly the VM's own.
pub fn run(xe: &Xe, uuid: &Uuid, vbds: &[Vbd]) -> Result<()> {
    if vbds.iter().all(|vbd| mark::goes_with_vm(vbd) == vbd.other_config(mark::OWNER).is_some()) {
        let Err(error) = xe.run(&vm::uninstall(uuid)) else { return Ok(()) };
        report::warn(format!("removing VM {uuid} step by step: {error:#}"));
    }
    one_by_one(xe, uuid, vbds).with_context(|| format!("cannot remove VM {uuid} from the pool"))
}

/// Removes a VM's snapshots with all that is theirs alone.
pub fn snapshots(xe: &Xe, vm: &Uuid) -> Result<()> {
    for taken in Snapshot::of_vm(xe, vm)? {
        snapshot_delete::remove(xe, &taken.uuid)?;
    }
    Ok(())
}

/// Its snapshots go first: nothing could be found of them without the VM. The VM goes last: while it is there, what is left of it can be found when the action is repeated.
fn one_by_one(xe: &Xe, uuid: &Uuid, vbds: &[Vbd]) -> Result<()> {
    snapshots(xe, uuid)?;
    let mut left = Vec::new();
    for vdi in vbds.iter().filter(|vbd| mark::goes_with_vm(vbd)).filter_map(|vbd| vbd.vdi_uuid.as_ref()) {
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
    done_or_gone(xe.run(&vm::destroy(uuid)))
}

fn done_or_gone(result: Result<String>) -> Result<()> {
    match result {
        Err(error) if xe_error(&error).is_some_and(crate::xe::XeError::is_gone) => Ok(()),
        other => other.map(drop),
    }
}
