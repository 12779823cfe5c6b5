//! Which blocks of 2 MiB of a disk are allocated.

use super::BLOCK_BYTES;
use super::big_endian::{count, len};

pub struct Blocks {
    allocated: Vec<bool>,
}

impl Blocks {
    /// None allocated, enough for a disk of `size` bytes.
    pub fn of_disk(size: u64) -> Blocks {
        Blocks { allocated: vec![false; len(size.div_ceil(BLOCK_BYTES))] }
    }

    /// Marks the blocks of a range of bytes; what lies past the disk's end is cut off.
    pub fn mark(&mut self, from: u64, bytes: u64) {
        let first = len(from / BLOCK_BYTES);
        let end = len(from.saturating_add(bytes).div_ceil(BLOCK_BYTES)).min(self.allocated.len());
        if let Some(range) = self.allocated.get_mut(first..end) {
            range.fill(true);
        }
    }

    /// How many are allocated.
    pub fn allocated(&self) -> u64 {
        count(self.allocated.iter().filter(|&&allocated| allocated).count())
    }

    pub fn iter(&self) -> impl Iterator<Item = bool> {
        self.allocated.iter().copied()
    }
}
