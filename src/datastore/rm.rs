//! `rm`: removes an image and its snapshots. One that is gone is success.

use super::Call;
use crate::report::{self, Result};
use crate::storage::{lineage, snapshot};
use crate::translate::mark;
use crate::xe::vdi::Vdi;
use anyhow::ensure;

pub fn run(call: &Call) -> Result<String> {
    let (xe, id) = (&call.xe, call.request.id);
    if call.request.image.text("SOURCE").is_empty() {
        // It never got one: an import that failed, or whose driver was killed.
        for left in Vdi::with_tag(xe, &mark::image(id))? {
            check_unused(&left)?;
            snapshot::destroy(xe, &left.uuid)?;
        }
        return Ok(String::new());
    }
    let key = call.key()?;
    let vdi = lineage::find(xe, &key)?;
    if let Some(vdi) = &vdi {
        check_unused(vdi)?;
    }
    snapshot::delete_all(xe, &key)?;
    match vdi {
        Some(vdi) => snapshot::destroy(xe, &vdi.uuid)?,
        None => report::info(format!("the pool has no VDI {key}: nothing to do")),
    }
    Ok(String::new())
}

/// A VM that has it would lose it: XAPI itself only minds while the VM runs.
fn check_unused(vdi: &Vdi) -> Result<()> {
    ensure!(vdi.vbds == 0, "VDI {} is in {} VM(s): it is not removed", vdi.uuid, vdi.vbds);
    Ok(())
}
