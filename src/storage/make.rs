//! VDIs that are made, each with its mark, and with what takes it back.

use super::snapshot;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::{Context, ensure};

/// A copy-on-write copy in the same SR. It has its name from its first moment and its tags by the next calls.
pub fn cloned(xe: &Xe, undo: &Undo<'_>, of: &Uuid, name: &str, tags: &[String]) -> Result<Uuid> {
    let description = mark::begun_now();
    let made = xe.ask(&vdi::clone(of, name, &description));
    taken_back_by(xe, undo, name, &made, ("name-description", &description));
    let made = made.with_context(|| format!("cannot clone VDI {of}"))?;
    for tag in tags {
        xe.run(&vdi::add_tag(&made, tag))?;
    }
    Ok(made)
}

/// A VDI that has a tag which says that it is not filled yet, until [`Filling::done`].
pub struct Filling {
    pub uuid: Uuid,
    tag: String,
}

/// An empty VDI, named and tagged from its first moment.
pub fn to_be_filled(
    xe: &Xe,
    undo: &Undo<'_>,
    sr: &Uuid,
    name: &str,
    size_bytes: u64,
    tags: &[String],
) -> Result<Filling> {
    let tag = mark::incomplete_now();
    let tags: Vec<String> = tags.iter().chain([&tag]).cloned().collect();
    let made = xe.ask(&vdi::create(sr, name, size_bytes, &tags));
    taken_back_by(xe, undo, name, &made, ("tags:contains", &tag));
    Ok(Filling { uuid: made.with_context(|| format!("cannot make VDI {name} on SR {sr}"))?, tag })
}

impl Filling {
    /// It holds all that it is to hold.
    pub fn done(self, xe: &Xe) -> Result<Uuid> {
        xe.run(&vdi::remove_tag(&self.uuid, &self.tag))?;
        Ok(self.uuid)
    }
}

/// A full copy on `sr`. A VDI that is written to cannot be copied: then a clone of it is.
pub fn copied(xe: &Xe, undo: &Undo<'_>, of: &Vdi, sr: &Uuid, name: &str, tags: &[String]) -> Result<Uuid> {
    let filling = to_be_filled(xe, undo, sr, name, of.virtual_size_bytes, tags)?;
    let copied = xe.run_within(&vdi::copy_into(&of.uuid, &filling.uuid), xe.transfer_limit);
    match copied {
        Err(error) if crate::xe::failed_with(&error, &["VDI_IN_USE"]) => {
            let for_now = Undo::new(xe);
            let still_name = mark::still_name(name);
            clear(xe, &still_name)?;
            let still = cloned(xe, &for_now, &of.uuid, &still_name, &[])?;
            xe.run_within(&vdi::copy_into(&still, &filling.uuid), xe.transfer_limit).map(drop)
        }
        other => other.map(drop),
    }
    .with_context(|| format!("cannot copy VDI {}", of.uuid))?;
    filling.done(xe)
}

/// Removes what a killed driver has made under this name, and nobody was told of.
pub fn clear(xe: &Xe, name: &str) -> Result<()> {
    for left in Vdi::with_name(xe, name)? {
        ensure!(left.vbds == 0, "VDI {} is called {name}, and a VM uses it", left.uuid);
        snapshot::destroy(xe, &left.uuid)?;
    }
    Ok(())
}

/// A VDI whose call failed to answer may be there all the same: a mark that no other has tells. A name does not, as
/// XAPI gives what is cloned by hand the name of what it is a clone of.
fn taken_back_by(xe: &Xe, undo: &Undo<'_>, name: &str, made: &Result<Uuid>, mark: (&str, &str)) {
    if let Ok(uuid) = made {
        undo.by(vdi::destroy(uuid));
        return;
    }
    match vdi::marked(xe, &[("name-label", name), mark]) {
        Ok(found) => found.iter().for_each(|uuid| undo.by(vdi::destroy(uuid))),
        Err(error) => report::warn(format!("a VDI {name} may be left in the pool: {error:#}")),
    }
}
