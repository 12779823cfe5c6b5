//! The header of a dynamic VHD, and the block table (BAT) and sector bitmaps it tells of.

use super::big_endian::{len, put, u32_at, u64_at};
use super::vhd::{VERSION, checksum};
use super::{BLOCK_BYTES, SECTOR_BYTES};
use anyhow::{Result, ensure};

pub const HEADER_BYTES: u64 = 1024;
/// A BAT entry of a block that is not there.
pub const UNUSED: u32 = u32::MAX;
/// Where our BAT begins: footer, header, and the sector that vhd-tool keeps for a parent locator.
pub const TABLE_OFFSET: u64 = 2048;
/// A sector bitmap for a block of 2 MiB.
pub const BITMAP_BYTES: u64 = 512;

#[derive(Debug)]
pub struct Header {
    pub table_offset: u64,
    pub entries: u64,
    pub block_bytes: u64,
}

impl Header {
    /// Reads the header of a dynamic VHD that holds a disk of `current_size`.
    pub fn parse(bytes: &[u8], current_size: u64) -> Result<Header> {
        ensure!(bytes.starts_with(b"cxsparse"), "there is no VHD header where its footer says");
        ensure!(u32_at(bytes, 36) == checksum(bytes, 36), "the checksum of its VHD header is wrong");
        let block_bytes = u64::from(u32_at(bytes, 32));
        let sane = block_bytes.is_power_of_two() && (64 << 10..=32 << 20).contains(&block_bytes);
        ensure!(sane, "a VHD block size of {block_bytes} bytes is not supported");
        let entries = u64::from(u32_at(bytes, 28));
        let needed = current_size.div_ceil(block_bytes);
        ensure!(entries >= needed, "its block table has {entries} entries, its size needs {needed}");
        Ok(Header { table_offset: u64_at(bytes, 16), entries, block_bytes })
    }

    /// In front of each block, rounded up to whole sectors.
    pub fn bitmap_bytes(&self) -> u64 {
        (self.block_bytes / SECTOR_BYTES).div_ceil(8).next_multiple_of(SECTOR_BYTES)
    }
}

/// Footer, header and the empty sector before the BAT of a new dynamic VHD with blocks of 2 MiB.
pub fn new_head(footer: &[u8], current_size: u64) -> Vec<u8> {
    let entries = u32::try_from(current_size.div_ceil(BLOCK_BYTES)).unwrap_or(UNUSED);
    let mut header = vec![0; len(HEADER_BYTES)];
    put(&mut header, 0, b"cxsparse");
    put(&mut header, 8, &u64::MAX.to_be_bytes());
    put(&mut header, 16, &TABLE_OFFSET.to_be_bytes());
    put(&mut header, 24, &VERSION.to_be_bytes());
    put(&mut header, 28, &entries.to_be_bytes());
    put(&mut header, 32, &u32::try_from(BLOCK_BYTES).unwrap_or(0).to_be_bytes());
    let sum = checksum(&header, 36);
    put(&mut header, 36, &sum.to_be_bytes());
    let mut head = [footer, &header].concat();
    head.resize(len(TABLE_OFFSET), 0);
    head
}

/// The BAT's size on disk: whole sectors.
pub fn table_bytes(entries: u64) -> u64 {
    (entries * 4).next_multiple_of(SECTOR_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let size = 5 * BLOCK_BYTES + 512;
        let head = new_head(&[0; 512], size);
        let header = Header::parse(&head[512..1536], size).unwrap();
        assert_eq!((header.entries, header.block_bytes, header.table_offset), (6, BLOCK_BYTES, 2048));
        assert_eq!(header.bitmap_bytes(), BITMAP_BYTES);
        let error = Header::parse(&head[512..1536], size + BLOCK_BYTES).unwrap_err().to_string();
        assert_eq!(error, "its block table has 6 entries, its size needs 7");
    }
}
