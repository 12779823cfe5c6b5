//! `clone FE:SOURCE HOST:PATH/disk.N VM_ID DS_ID`: a disk of the VM's own with the image's content.

use super::place::Place;
use super::{Call, disk, show};
use crate::report::{self, Result};
use crate::storage::{MB, lineage, make, snapshot, vdi_size_bytes};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, failed_with, sr};
use anyhow::{Context, ensure};

pub fn run(call: &Call) -> Result<String> {
    let (source, place): (Uuid, Place) = (call.source(0)?, call.word(1, "the disk's place")?);
    let (vm_id, ds_id): (u32, u32) = (call.word(2, "the VM's id")?, call.word(3, "the datastore's id")?);
    let disk_id = place.need_disk_id()?;
    let xe = call.xe(&place, ds_id)?;
    let wanted = show::vm(vm_id)?.disk(disk_id)?;
    let to_sr = target_sr(&xe, &place, wanted.text("CLONE_TARGET"))?;

    let name = mark::vdi_name(vm_id, disk_id);
    if let Some(done) = clear_unfinished(&xe, &name, &place)? {
        report::info(format!("disk {disk_id} is there already, as VDI {done}"));
        return Ok(String::new());
    }
    let undo = Undo::new(&xe);
    let uuid = copy(&xe, &undo, &source, to_sr.as_ref(), &name)?;
    grow(&xe, &uuid, wanted.get("SIZE")?, wanted.get("ORIGINAL_SIZE")?)?;
    place.write(&uuid.to_string())?;
    undo.keep();
    Ok(String::new())
}

/// Where the disk is to be, if it is not with its image: the system datastore's SR, with CLONE_TARGET=SYSTEM.
fn target_sr(xe: &Xe, place: &Place, clone_target: &str) -> Result<Option<Uuid>> {
    if clone_target != "SYSTEM" {
        return Ok(None);
    }
    let name = show::datastore(place.ds_id()?)?.setting("XCP_SR");
    if name.is_empty() { Ok(None) } else { sr::named(xe, &name).map(Some).context("XCP_SR") }
}

/// Removes what a killed driver has made of this disk. It never ran: deployments go by `disk.N`. If `disk.N` names
/// it, the disk is done. One without the tag may be a clone that somebody has made of the disk by hand.
pub fn clear_unfinished(xe: &Xe, name: &str, place: &Place) -> Result<Option<Uuid>> {
    let is_ours = |vdi: &Vdi| vdi.has_tag(name) && !mark::is_of_deployment(&vdi.tags);
    let left: Vec<Vdi> = Vdi::with_name(xe, name)?.into_iter().filter(is_ours).collect();
    if left.is_empty() {
        return Ok(None);
    }
    let named = disk::named(place)?;
    if left.iter().any(|vdi| named.as_ref() == Some(&vdi.uuid)) {
        return Ok(named);
    }
    for vdi in left {
        ensure!(vdi.vbds == 0, "VDI {} is called {name}, and a VM uses it", vdi.uuid);
        snapshot::destroy(xe, &vdi.uuid)?;
    }
    Ok(None)
}

/// Copy-on-write in the image's SR, a full copy to another.
fn copy(xe: &Xe, undo: &Undo<'_>, source: &Uuid, to_sr: Option<&Uuid>, name: &str) -> Result<Uuid> {
    let tags = [name.to_owned()];
    let Some(sr) = to_sr else {
        let cloned = make::cloned(xe, undo, source, name, &tags);
        return match cloned {
            // Another VDI stands for the image since a snapshot was gone back to.
            Err(error) if failed_with(&error, &["UUID_INVALID", "HANDLE_INVALID"]) => {
                let of = lineage::need(xe, source)?;
                make::cloned(xe, undo, &of.uuid, name, &tags)
            }
            other => other,
        };
    };
    let of = lineage::need(xe, source)?;
    if of.sr_uuid == *sr {
        make::cloned(xe, undo, &of.uuid, name, &tags)
    } else {
        make::copied(xe, undo, &of, sr, name, &tags)
    }
}

/// The template may ask for a larger disk than the image is.
fn grow(xe: &Xe, uuid: &Uuid, size_mb: Option<u64>, original_mb: Option<u64>) -> Result<()> {
    let (Some(size), Some(original)) = (size_mb, original_mb) else { return Ok(()) };
    if size <= original {
        return Ok(());
    }
    let now = Vdi::find(xe, uuid)?.with_context(|| format!("VDI {uuid} is gone"))?;
    let wanted = vdi_size_bytes(size * MB);
    if now.virtual_size_bytes < wanted {
        xe.run(&vdi::resize(uuid, wanted)).with_context(|| format!("cannot grow VDI {uuid} to {size} MB"))?;
    }
    Ok(())
}
