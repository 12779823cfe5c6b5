//! From the uuid that OpenNebula keeps of an image to the VDI that has its data now.

use crate::report::Result;
use crate::translate::mark;
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail};

/// The uuid by which OpenNebula calls what this VDI holds.
pub fn key(vdi: &Vdi) -> Uuid {
    mark::source_of_vdi(&vdi.tags).unwrap_or_else(|| vdi.uuid.clone())
}

/// The VDI that holds the image's data; none if there is none.
pub fn find(xe: &Xe, key: &Uuid) -> Result<Option<Vdi>> {
    if let Some(own) = Vdi::find(xe, key)? {
        return Ok(Some(own));
    }
    let mut heirs = heirs(xe, key)?;
    // A successor counts only when those before it are gone.
    if heirs.len() > 1 {
        let waiting: Vec<Uuid> =
            Vdi::with_name(xe, &mark::successor_name(key))?.into_iter().map(|vdi| vdi.uuid).collect();
        heirs.retain(|heir| !waiting.contains(&heir.uuid));
    }
    match heirs.as_slice() {
        [] | [_] => Ok(heirs.pop()),
        [one, other, ..] => bail!(
            "VDIs {} and {} both say that they are the image {key}: remove the tag {} from the one that is not",
            one.uuid,
            other.uuid,
            mark::source(key)
        ),
    }
}

/// As [`find`], for an image that must be there.
pub fn need(xe: &Xe, key: &Uuid) -> Result<Vdi> {
    find(xe, key)?.with_context(|| format!("the pool has no VDI {key}, and none that stands for it"))
}

/// The VDIs that have come after the first one.
pub fn heirs(xe: &Xe, key: &Uuid) -> Result<Vec<Vdi>> {
    Vdi::with_tag(xe, &mark::source(key))
}
