//! Disks of `xcp` datastores that somebody has moved to another SR (`xe vdi-pool-migrate`, XO): the VDI is another one
//! then, without tags (xapi_vm_migrate.ml `intra_pool_vdi_remap`). The VM's VBD has it; `disk.N` names the one of before.

use crate::one::disk::Origin;
use crate::one::{self, Disk};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::Context;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Lets `disk.N` in `folder` name the VDIs that the VM has, where those of before are gone, and gives them the tags by
/// which OpenNebula's scripts find them. Gives back the disks that have moved, each with its VDI.
///
/// No call is made where every file names the VM's VDI.
pub fn follow(xe: &Xe, vm: &one::Vm, folder: &Path, vbds: &[Vbd]) -> Result<Vec<(u32, Uuid)>> {
    let mut moved = Vec::new();
    for disk in vm.disks.iter().filter(|disk| disk.origin == Origin::Vdi) {
        let vbd = vbds.iter().find(|vbd| mark::is_of(vbd, disk) && !mark::goes_with_vm(vbd));
        let Some(now) = vbd.and_then(|vbd| vbd.vdi_uuid.as_ref()) else { continue };
        let file = disk.file(folder);
        let named = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<Uuid>().ok());
        let Some(before) = named.filter(|named| named != now) else { continue };
        // Where it is still there, a snapshot of the disk was gone back to while the VM was off.
        if Vdi::find(xe, &before)?.is_some() {
            continue;
        }
        tag(xe, vm.vm_id, disk, &before, now)?;
        name_vdi(&file, now)?;
        report::info(format!("disk {} was VDI {before}, and is {now} since somebody moved it", disk.disk_id));
        moved.push((disk.disk_id, now.clone()));
    }
    Ok(moved)
}

/// Whose disk it is, and the uuid by which OpenNebula goes on calling it.
fn tag(xe: &Xe, vm_id: u32, disk: &Disk, before: &Uuid, now: &Uuid) -> Result<()> {
    let tags = Vdi::find(xe, now)?.with_context(|| format!("VDI {now} is gone"))?.tags;
    let image = disk.image_id.filter(|_| disk.is_persistent).map(mark::image);
    let own = image.unwrap_or_else(|| mark::vdi_name(vm_id, disk.disk_id));
    let key = disk.source.parse().ok().filter(|_| disk.is_persistent).unwrap_or_else(|| before.clone());
    let source = mark::source_of_vdi(&tags).is_none().then(|| mark::source(&key));
    let own = Some(own).filter(|own| !tags.contains(own));
    for tag in own.into_iter().chain(source) {
        xe.run(&vdi::add_tag(now, &tag))?;
    }
    Ok(())
}

/// Writes the VDI's uuid into `disk.N`, whole or not at all.
pub fn name_vdi(file: &Path, vdi: &Uuid) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|text| text.trim() == vdi.to_string()) {
        return Ok(());
    }
    let what = || format!("cannot write {vdi} into {}", file.display());
    let mut new =
        tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new("."))).with_context(what)?;
    writeln!(new, "{vdi}").and_then(|()| new.as_file().sync_all()).with_context(what)?;
    new.persist(file).with_context(what)?;
    Ok(())
}
