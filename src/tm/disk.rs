//! From `disk.N` to its VDI, and the VDIs that were made for a VM's disk.

use super::place::Place;
use crate::parallel;
use crate::report::Result;
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

/// The VDIs that were made for the VM's disk, finished or not. An image of a datastore is none of them.
pub fn made_for(xe: &Xe, vm_id: u32, disk_id: u32) -> Result<Vec<Vdi>> {
    let name = mark::vdi_name(vm_id, disk_id);
    let (tagged, called) = parallel::both(|| Vdi::with_tag(xe, &name), || Vdi::with_name(xe, &name));
    let mut found = tagged?;
    for vdi in called? {
        // A clone that was made and not yet tagged has no tags at all.
        if vdi.tags.is_empty() && !found.iter().any(|there| there.uuid == vdi.uuid) {
            found.push(vdi);
        }
    }
    found.retain(|vdi| !mark::is_of_deployment(&vdi.tags));
    Ok(found)
}
