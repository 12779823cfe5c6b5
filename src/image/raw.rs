//! Disks stored as they are: raw files, ISO images, block devices, and fixed VHDs, which have a footer behind.

use super::big_endian::{count, len};
use super::blocks::Blocks;
use super::{Content, SECTOR_BYTES};
use anyhow::{Context, Result};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;

pub struct Raw {
    file: File,
    /// Of the disk in the file, which need not be a multiple of 512.
    size: u64,
}

impl Raw {
    pub fn open(file: File) -> Result<Raw> {
        let size = size_bytes(&file)?;
        Ok(Raw { file, size })
    }

    /// A disk of `size` bytes at the start of a file that has at least those.
    pub fn with_size(file: File, size: u64) -> Raw {
        Raw { file, size }
    }
}

/// The size of a file or block device, whose metadata says 0.
pub fn size_bytes(file: &File) -> Result<u64> {
    seek(file, SeekFrom::End(0)).context("cannot tell its size")
}

impl Content for Raw {
    fn virtual_size_bytes(&self) -> u64 {
        self.size.next_multiple_of(SECTOR_BYTES)
    }

    fn mark_allocated(&mut self, blocks: &mut Blocks) -> Result<()> {
        let mut end = 0;
        while end < self.size {
            let start = match seek(&self.file, SeekFrom::Data(end)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                // Block devices and some file systems do not tell holes: all of it is data.
                Err(Errno::INVAL | Errno::NOTSUP) => end,
                Err(error) => return Err(error).context("cannot look for holes"),
            };
            end = seek(&self.file, SeekFrom::Hole(start)).unwrap_or(self.size).max(start + 1);
            blocks.mark(start, end - start);
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let stored = len(self.size.saturating_sub(offset)).min(into.len());
        let (data, past_end) = into.split_at_mut(stored);
        past_end.fill(0);
        let bytes = count(data.len());
        self.file
            .read_exact_at(data, offset)
            .with_context(|| format!("cannot read {bytes} bytes at {offset}"))
    }
}
