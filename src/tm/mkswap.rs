//! `mkswap SIZE_MB HOST:PATH/disk.N VM_ID DS_ID`: a volatile disk with swap space.

use super::place::Place;
use super::{Call, mkimage};
use crate::report::Result;
use crate::storage::format::SWAP;

pub fn run(call: &Call) -> Result<String> {
    let place: Place = call.word(1, "the disk's place")?;
    let size_mb = call.word(0, "the size")?;
    mkimage::make(
        call,
        size_mb,
        SWAP,
        &place,
        call.word(2, "the VM's id")?,
        call.word(3, "the datastore's id")?,
    )
}
