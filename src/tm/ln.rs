//! `ln FE:SOURCE HOST:PATH/disk.N VM_ID DS_ID`: a persistent image itself becomes the VM's disk.

use super::Call;
use super::place::Place;
use crate::report::Result;
use crate::storage::lineage;
use crate::xe::Uuid;

pub fn run(call: &Call) -> Result<String> {
    let (source, place): (Uuid, Place) = (call.source(0)?, call.word(1, "the disk's place")?);
    place.need_disk_id()?;
    let xe = call.xe(&place, call.word(3, "the datastore's id")?)?;
    let vdi = lineage::need(&xe, &source)?;
    place.write(&vdi.uuid.to_string())?;
    Ok(String::new())
}
