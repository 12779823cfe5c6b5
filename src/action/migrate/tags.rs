//! Tags of disks that move with their VM. XAPI makes such a disk anew of what its storage layer knows: the name, and no
//! tags (xapi_vm_migrate.ml `intra_pool_vdi_remap`). They say whose it is, and by which uuid OpenNebula calls it.

use super::storage_motion::disks;
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::Context;

/// The VM has moved: that is not taken back for tags.
pub fn warn_of(kept: Result<()>) {
    if let Err(error) = kept {
        report::warn(format!("what marks the VM's disks as OpenNebula's may be lost: {error:#}"));
    }
}

/// Gives disks that have moved the tags they had. `xe` is of the pool where the VM is now: in another one its VBDs are
/// others too.
pub fn keep(xe: &Xe, vm: &Uuid, before: &[(Vbd, Vdi)]) -> Result<()> {
    let now = Vbd::of_vm(xe, vm)?;
    let kept = parallel::map(before, |(vbd, vdi)| {
        let there = now.iter().find(|now| now.userdevice == vbd.userdevice);
        let Some(moved) = there.and_then(|there| there.vdi_uuid.as_ref()) else { return Ok(()) };
        for tag in vdi.tags.iter().filter(|_| *moved != vdi.uuid) {
            let add = vdi::add_tag(moved, tag);
            xe.undo(&add).or_else(|_| xe.undo(&add)).with_context(|| format!("do it by hand: {add}"))?;
        }
        Ok(())
    });
    kept.into_iter().collect()
}

/// Gives the disks of file datastores their tags, where a migration was killed before it had done so.
pub fn mend(xe: &Xe, message: Option<&Message>, uuid: &Uuid) -> Result<()> {
    let Some(message) = message else { return Ok(()) };
    let own = mark::vdi_tag(uuid);
    for (vbd, vdi) in disks(xe, uuid)? {
        let Some(disk_id) = mark::disk_id(&vbd).filter(|_| mark::goes_with_vm(&vbd)) else { continue };
        if vdi.tags.contains(&own) {
            continue;
        }
        let disk = message.vm.disks.iter().find(|disk| mark::is_of(&vbd, disk));
        let persistent = disk.is_some_and(|disk| disk.is_wanted_back(true));
        for tag in mark::vdi_tags_of_file(uuid, message.vm.vm_id, disk_id, persistent) {
            xe.run(&vdi::add_tag(&vdi.uuid, &tag))?;
        }
    }
    Ok(())
}
