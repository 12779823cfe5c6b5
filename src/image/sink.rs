//! Where an exported disk goes, and the sparse raw file as the plainest such place.

use super::big_endian::{count, is_zero};
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Runs of zeros shorter than this are written: the cluster size of qcow2, a good size for file systems.
pub const RUN_BYTES: usize = 64 << 10;

/// An image file being written, in any order of blocks.
pub trait Sink {
    /// Writes a part of the disk that begins at a multiple of 64 KiB.
    fn put(&mut self, offset: u64, data: &[u8]) -> Result<()>;
    /// Writes what only the end knows. `size` is the disk's, in bytes, at most what the sink was made for.
    fn finish(&mut self, size: u64) -> Result<()>;
}

/// The parts of `data` that are not zeros, with their offsets.
pub fn runs(offset: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let offsets = (offset..).step_by(RUN_BYTES);
    offsets.zip(data.chunks(RUN_BYTES)).filter(|(_, run)| !is_zero(run))
}

pub struct RawSink<'a>(pub &'a File);

impl Sink for RawSink<'_> {
    fn put(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        runs(offset, data).try_for_each(|(offset, run)| write_at(self.0, offset, run))
    }

    fn finish(&mut self, size: u64) -> Result<()> {
        self.0.set_len(size).with_context(|| format!("cannot make the image {size} bytes long"))
    }
}

pub fn write_at(file: &File, offset: u64, data: &[u8]) -> Result<()> {
    let bytes = count(data.len());
    file.write_all_at(data, offset).with_context(|| format!("cannot write {bytes} bytes at {offset}"))
}
