//! A dynamic VHD file: blocks as they come, the block table and footers at the end.

use super::big_endian::{len, put, u32_at};
use super::sink::{Sink, runs, write_at};
use super::vhd::new_footer;
use super::vhd_header::{BITMAP_BYTES, TABLE_OFFSET, UNUSED, new_head, table_bytes};
use super::{BLOCK_BYTES, SECTOR_BYTES};
use anyhow::{Context, Result};
use std::fs::File;

pub struct VhdSink<'a> {
    file: &'a File,
    table: Vec<u8>,
    end: u64,
}

impl<'a> VhdSink<'a> {
    pub fn new(file: &'a File, size: u64) -> VhdSink<'a> {
        let table_bytes = table_bytes(size.div_ceil(BLOCK_BYTES));
        VhdSink { file, table: vec![0xff; len(table_bytes)], end: TABLE_OFFSET + table_bytes }
    }

    /// Where the block of this offset is in the file, newly made if need be. (Blocks of the source may be
    /// smaller than ours.)
    fn block_at(&mut self, offset: u64) -> Result<u64> {
        let entry = len(offset / BLOCK_BYTES * 4);
        let known = u32_at(&self.table, entry);
        if known != UNUSED {
            return Ok(u64::from(known) * SECTOR_BYTES);
        }
        let start = self.end;
        let sector = u32::try_from(start / SECTOR_BYTES).context("the VHD grows over 2 TiB")?;
        put(&mut self.table, entry, &sector.to_be_bytes());
        write_at(self.file, start, &[0xff; 512])?;
        self.end += BITMAP_BYTES + BLOCK_BYTES;
        Ok(start)
    }
}

impl Sink for VhdSink<'_> {
    fn put(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        for (offset, run) in runs(offset, data) {
            let data_start = self.block_at(offset)? + BITMAP_BYTES;
            write_at(self.file, data_start + offset % BLOCK_BYTES, run)?;
        }
        Ok(())
    }

    fn finish(&mut self, size: u64) -> Result<()> {
        let footer = new_footer(size)?;
        write_at(self.file, 0, &new_head(&footer, size))?;
        write_at(self.file, TABLE_OFFSET, &self.table)?;
        write_at(self.file, self.end, &footer)
    }
}
