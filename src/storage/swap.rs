//! Another VDI in an image's or disk's place: what a snapshot held, under the name that OpenNebula knows.
//!
//! Until the VDI of before is gone, its successor has a name of its own and no say, so a step that fails, or a
//! driver that is killed, leaves either the old state or the new one.

use super::{lineage, make, snapshot};
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe};
use anyhow::ensure;

/// How the successor comes by its blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It shares them with the snapshot.
    Cloned,
    /// It has all of its own: the chain of VDIs ends here.
    Copied,
}

/// The name that a VDI with these tags should have: its image's or its disk's.
pub fn name_of(vdi: &Vdi, else_name: &str) -> String {
    let is_a_name =
        |tag: &&String| tag.starts_with("one-image-") || (tag.starts_with("one-") && tag.contains("-disk-"));
    vdi.tags.iter().find(is_a_name).map_or(else_name, String::as_str).to_owned()
}

/// Puts a copy of `from` in the place of `now`, which is destroyed. `tell` is run in between, with the uuid of the
/// one that is to count; when anything fails, once more with the one of before.
pub fn replace(
    xe: &Xe,
    now: &Vdi,
    from: &Vdi,
    how: How,
    name: &str,
    tell: &dyn Fn(&Uuid) -> Result<()>,
) -> Result<Uuid> {
    let key = lineage::key(now);
    clear_successors(xe, &key, &now.uuid)?;
    // What OpenNebula calls it by, and whose it is.
    let kept = now.tags.iter().filter(|tag| **tag != mark::source(&key));
    let tags: Vec<String> = [mark::source(&key)].into_iter().chain(kept.cloned()).collect();
    let successor_name = mark::successor_name(&key);
    let undo = Undo::new(xe);
    let successor = match how {
        How::Cloned => make::cloned(xe, &undo, &from.uuid, &successor_name, &tags)?,
        How::Copied => make::copied(xe, &undo, from, &now.sr_uuid, &successor_name, &tags)?,
    };
    let swapped = tell(&successor).and_then(|()| snapshot::destroy(xe, &now.uuid));
    if let Err(error) = swapped {
        // It may be gone although the answer was lost: then there is no way back. If nobody can tell, both stay.
        let is_there = match vdi::is_there(xe, &now.uuid) {
            Ok(is_there) => is_there,
            Err(unknown) => {
                undo.keep();
                let advice = format!("VDI {} or its successor {successor} is one too many", now.uuid);
                return Err(error.context(format!("{advice}: do it once more ({unknown:#})")));
            }
        };
        if is_there {
            if let Err(fault) = tell(&now.uuid) {
                // Nobody knows which of them is named now.
                undo.keep();
                return Err(
                    fault.context(format!("cannot take back what was done ({error:#}): do it once more"))
                );
            }
            return Err(error);
        }
        report::warn(format!("VDI {} is gone: {error:#}", now.uuid));
    }
    undo.keep();
    // The name is for people: what could not be said is said once more, and then left.
    let rename = vdi::rename(&successor, name);
    if let Err(error) = xe.undo(&rename).or_else(|_| xe.undo(&rename)) {
        report::warn(format!("VDI {successor} keeps the name {successor_name}: {error:#}"));
    }
    Ok(successor)
}

/// Does what was left to do when a script was killed: `disk.N` names `named`, which was to take the place of a VDI
/// that is still there. What `disk.N` names is what the VM goes by.
pub fn finish(xe: &Xe, named: &Vdi, else_name: &str) -> Result<()> {
    let key = lineage::key(named);
    if key == named.uuid {
        return Ok(());
    }
    if let Some(before) = Vdi::find(xe, &key)? {
        ensure!(before.vbds == 0, "VDI {} has taken the place of {key}, and a VM uses that", named.uuid);
        report::info(format!("VDI {} has taken the place of {key}, which goes", named.uuid));
        snapshot::destroy(xe, &key)?;
    }
    if Vdi::with_name(xe, &mark::successor_name(&key))?.iter().any(|vdi| vdi.uuid == named.uuid) {
        xe.run(&vdi::rename(&named.uuid, &name_of(named, else_name)))?;
    }
    Ok(())
}

/// Removes what a killed driver has left of an earlier try.
fn clear_successors(xe: &Xe, key: &Uuid, now: &Uuid) -> Result<()> {
    for left in Vdi::with_name(xe, &mark::successor_name(key))? {
        if left.uuid != *now {
            ensure!(left.vbds == 0, "VDI {} was to take the place of {key}, and a VM uses it", left.uuid);
            snapshot::destroy(xe, &left.uuid)?;
        }
    }
    Ok(())
}
