//! VHD files: fixed ones are raw with a footer behind, dynamic ones are read through their block table.

use super::Content;
use super::SECTOR_BYTES;
use super::big_endian::{count, len, u32_at};
use super::blocks::Blocks;
use super::raw::{self, Raw};
use super::vhd::{COOKIE, FOOTER_BYTES, Footer, Kind};
use super::vhd_header::{HEADER_BYTES, Header, UNUSED};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Opens a VHD of either kind.
pub fn open(file: File) -> Result<Box<dyn Content>> {
    let file_size = raw::size_bytes(&file)?;
    ensure!(file_size >= FOOTER_BYTES, "it is too small for a VHD");
    let footer = read(&file, file_size - FOOTER_BYTES, FOOTER_BYTES)?;
    ensure!(footer.starts_with(COOKIE), "it is truncated: there is no VHD footer at its end");
    let footer = Footer::parse(&footer)?;
    match footer.kind {
        Kind::Fixed => {
            let stored = file_size - FOOTER_BYTES;
            ensure!(
                stored >= footer.current_size,
                "it is truncated: {stored} of {} bytes",
                footer.current_size
            );
            Ok(Box::new(Raw::with_size(file, footer.current_size)))
        }
        Kind::Dynamic => Ok(Box::new(Dynamic::open(file, file_size, &footer)?)),
    }
}

struct Dynamic {
    file: File,
    size: u64,
    header: Header,
    /// Sector of each block that the disk's size needs, or [`UNUSED`].
    table: Vec<u32>,
}

impl Dynamic {
    fn open(file: File, file_size: u64, footer: &Footer) -> Result<Dynamic> {
        let header = read(&file, footer.data_offset, HEADER_BYTES).context("it has no VHD header")?;
        let header = Header::parse(&header, footer.current_size)?;
        let needed = footer.current_size.div_ceil(header.block_bytes);
        let table_end = header.table_offset.saturating_add(needed * 4);
        ensure!(table_end <= file_size, "it is truncated in its block table");
        let table = read(&file, header.table_offset, needed * 4)?;
        let table: Vec<u32> = table.chunks_exact(4).map(|entry| u32_at(entry, 0)).collect();
        let block_on_disk = header.bitmap_bytes() + header.block_bytes;
        for (block, sector) in table.iter().enumerate().filter(|(_, sector)| **sector != UNUSED) {
            let end = u64::from(*sector) * SECTOR_BYTES + block_on_disk;
            ensure!(end <= file_size, "it is truncated: block {block} ends at {end} of {file_size} bytes");
        }
        Ok(Dynamic { file, size: footer.current_size, header, table })
    }

    /// Reads from within one block. Sectors that its bitmap does not show as written are zeros, to XAPI too.
    fn read_in_block(&self, sector: u32, within: u64, into: &mut [u8]) -> Result<()> {
        let start = u64::from(sector) * SECTOR_BYTES;
        let bitmap = read(&self.file, start, self.header.bitmap_bytes())?;
        let place = start + self.header.bitmap_bytes() + within;
        self.file.read_exact_at(into, place).with_context(|| format!("cannot read at {place}"))?;
        for (index, sector) in into.chunks_mut(len(SECTOR_BYTES)).enumerate() {
            if !is_written(&bitmap, len(within / SECTOR_BYTES) + index) {
                sector.fill(0);
            }
        }
        Ok(())
    }
}

/// Whether a block's bitmap shows the sector as written.
pub fn is_written(bitmap: &[u8], sector: usize) -> bool {
    bitmap.get(sector / 8).is_some_and(|bits| bits & (0x80 >> (sector % 8)) != 0)
}

impl Content for Dynamic {
    fn virtual_size_bytes(&self) -> u64 {
        self.size
    }

    fn mark_allocated(&mut self, blocks: &mut Blocks) -> Result<()> {
        for (block, _) in self.table.iter().enumerate().filter(|(_, sector)| **sector != UNUSED) {
            blocks.mark(count(block) * self.header.block_bytes, self.header.block_bytes);
        }
        Ok(())
    }

    fn read(&mut self, mut offset: u64, mut into: &mut [u8]) -> Result<()> {
        while !into.is_empty() {
            let within = offset % self.header.block_bytes;
            let here = len(self.header.block_bytes - within).min(into.len());
            let (part, rest) = into.split_at_mut(here);
            match self.table.get(len(offset / self.header.block_bytes)) {
                Some(&sector) if sector != UNUSED => self.read_in_block(sector, within, part)?,
                _ => part.fill(0),
            }
            offset += count(here);
            into = rest;
        }
        Ok(())
    }
}

fn read(file: &File, offset: u64, bytes: u64) -> Result<Vec<u8>> {
    let mut buffer = vec![0; len(bytes)];
    file.read_exact_at(&mut buffer, offset)
        .with_context(|| format!("cannot read {bytes} bytes at {offset}"))?;
    Ok(buffer)
}
