//! VDIs that are made, each with its mark, and with what takes it back.

use crate::report::{self, Result};
use crate::undo::Undo;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::Context;

/// An empty VDI, named and tagged from its first moment.
pub fn empty(
    xe: &Xe,
    undo: &Undo<'_>,
    sr: &Uuid,
    name: &str,
    size_bytes: u64,
    tags: &[String],
) -> Result<Uuid> {
    let made = xe.ask(&vdi::create(sr, name, size_bytes, tags));
    taken_back_by(xe, undo, name, &made, &[]);
    made.with_context(|| format!("cannot make VDI {name}"))
}

/// A copy-on-write copy in the same SR. It has its name from its first moment and its tags by the next calls.
pub fn cloned(xe: &Xe, undo: &Undo<'_>, of: &Uuid, name: &str, tags: &[String]) -> Result<Uuid> {
    let made = xe.ask(&vdi::clone(of, name));
    taken_back_by(xe, undo, name, &made, &[of]);
    let made = made.with_context(|| format!("cannot clone VDI {of}"))?;
    for tag in tags {
        xe.run(&vdi::add_tag(&made, tag))?;
    }
    Ok(made)
}

/// A full copy on `sr`. A VDI that is written to cannot be copied: then a clone of it is.
pub fn copied(xe: &Xe, undo: &Undo<'_>, of: &Vdi, sr: &Uuid, name: &str, tags: &[String]) -> Result<Uuid> {
    let made = empty(xe, undo, sr, name, of.virtual_size_bytes, tags)?;
    let copied = xe.run_within(&vdi::copy_into(&of.uuid, &made), xe.transfer_limit);
    match copied {
        Err(error) if crate::xe::failed_with(&error, &["VDI_IN_USE"]) => {
            let for_now = Undo::new(xe);
            let still = cloned(xe, &for_now, &of.uuid, &format!("{name}-still"), &[])?;
            xe.run_within(&vdi::copy_into(&still, &made), xe.transfer_limit).map(drop)
        }
        other => other.map(drop),
    }
    .with_context(|| format!("cannot copy VDI {}", of.uuid))?;
    Ok(made)
}

/// A VDI whose call failed to answer may be there all the same: its name tells.
fn taken_back_by(xe: &Xe, undo: &Undo<'_>, name: &str, made: &Result<Uuid>, but: &[&Uuid]) {
    if let Ok(uuid) = made {
        undo.by(vdi::destroy(uuid));
        return;
    }
    match unused(xe, name) {
        Ok(found) => {
            found
                .into_iter()
                .filter(|uuid| !but.contains(&uuid))
                .for_each(|uuid| undo.by(vdi::destroy(&uuid)));
        }
        Err(error) => report::warn(format!("a VDI {name} may be left in the pool: {error:#}")),
    }
}

fn unused(xe: &Xe, name: &str) -> Result<Vec<Uuid>> {
    let found = Vdi::with_name(xe, name)?;
    Ok(found.into_iter().filter(|vdi| vdi.vbds == 0).map(|vdi| vdi.uuid).collect())
}
