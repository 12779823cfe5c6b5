//! `mvds HOST:PATH/disk.N SOURCE VM_ID DS_ID`: a persistent image goes back to its datastore. Its VDI never left it.

use super::place::Place;
use super::{Call, disk};
use crate::report::{self, Result};
use crate::storage::{lineage, swap};
use crate::xe::Uuid;
use crate::xe::vdi::Vdi;
use anyhow::Context;

pub fn run(call: &Call) -> Result<String> {
    let (place, source): (Place, Uuid) = (call.word(0, "the disk's place")?, call.source(1)?);
    place.need_disk_id()?;
    let Some(named) = disk::named(&place)? else {
        report::info(format!("there is no {place}; the image is VDI {source} all the time"));
        return Ok(String::new());
    };
    if named != source {
        let xe = call.xe(&place, call.word(3, "the datastore's id")?)?;
        let vdi = Vdi::find(&xe, &named)?.filter(|vdi| lineage::key(vdi) == source);
        let vdi =
            vdi.with_context(|| format!("{place} names VDI {named}, which is not the image {source}"))?;
        swap::finish(&xe, &vdi, "")?;
    }
    place.remove()?;
    Ok(String::new())
}
