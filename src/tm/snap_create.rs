//! `snap_create HOST:PATH/disk.N SNAP_ID VM_ID DS_ID`: keeps what the disk holds now.

use super::place::Place;
use super::{Call, disk};
use crate::report::Result;
use crate::storage::snapshot;

pub fn run(call: &Call) -> Result<String> {
    let place: Place = call.word(0, "the disk's place")?;
    let id: u32 = call.word(1, "the snapshot's id")?;
    let xe = call.xe(&place, call.word(3, "the datastore's id")?)?;
    snapshot::create(&xe, &disk::vdi(&xe, &place)?, id)?;
    Ok(String::new())
}
