//! From `disk.N` to its VDI, and the VDIs that were made for a VM's disk.

use super::place::Place;
use crate::report::{self, Result};
use crate::storage::lineage;
use crate::translate::mark;
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::Context;

/// What `disk.N` names; none if it is not there.
pub fn named(place: &Place) -> Result<Option<Uuid>> {
    let Some(text) = place.read()? else { return Ok(None) };
    text.trim().parse().map(Some).with_context(|| format!("{place} should name a VDI"))
}

/// The VDI that `disk.N` names.
pub fn vdi(xe: &Xe, place: &Place) -> Result<Vdi> {
    let uuid = named(place)?.with_context(|| format!("there is no {place}"))?;
    Vdi::find(xe, &uuid)?.with_context(|| format!("{place} names VDI {uuid}, which is not in the pool"))
}

/// The VDIs that were made for the VM's disk: the one that `disk.N` names, or without a `disk.N` what a killed script
/// has left of it. An image of a datastore is none of them.
///
/// XAPI gives a copy that somebody has made by hand the disk's tags: that one stays, also when the disk is gone.
pub fn made_for(xe: &Xe, place: &Place, vm_id: u32, disk_id: u32) -> Result<Vec<Vdi>> {
    let mut found = Vdi::with_tag(xe, &mark::vdi_name(vm_id, disk_id))?;
    found.retain(|vdi| !mark::is_of_deployment(&vdi.tags));
    if found.is_empty() {
        return Ok(found);
    }
    let Some(named) = named(place)? else {
        // What a killed script has left is in no VM. The disk of another OpenNebula's VM may have the same name.
        found.retain(|vdi| vdi.vbds == 0);
        return Ok(found);
    };
    let Some(now) = found.iter().find(|vdi| vdi.uuid == named) else {
        let there: Vec<String> = found.iter().map(|vdi| vdi.uuid.to_string()).collect();
        report::warn(format!(
            "VDI {}, tagged as a copy of disk {disk_id} would be, is not what {place} names: it stays",
            there.join(", ")
        ));
        return Ok(Vec::new());
    };
    // One that it was to take the place of goes too.
    let (uuid, key) = (now.uuid.clone(), lineage::key(now));
    found.retain(|vdi| vdi.uuid == uuid || vdi.uuid == key);
    Ok(found)
}
