//! The footer and the header of a VHD ("Virtual Hard Disk Image Format Specification", Microsoft, 2006), as
//! vhd-tool reads and writes them (xapi `ocaml/libs/vhd/vhd_format/f.ml`). All numbers are big-endian.

use super::big_endian::{len, put, u32_at, u64_at};
use super::{BLOCK_BYTES, SECTOR_BYTES};
use anyhow::{Result, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime};

/// The largest disk that a VHD can hold.
pub const MAX_VHD_BYTES: u64 = 2040 << 30;
pub const COOKIE: &[u8] = b"conectix";
pub const FOOTER_BYTES: u64 = 512;
pub const HEADER_BYTES: u64 = 1024;
/// A BAT entry of a block that is not there.
pub const UNUSED: u32 = u32::MAX;
/// Where our BAT begins: footer, header, and the sector that vhd-tool keeps for a parent locator.
pub const TABLE_OFFSET: u64 = 2048;
/// A sector bitmap for a block of 2 MiB.
pub const BITMAP_BYTES: u64 = 512;

const HEADER_OFFSET: u64 = 512;
const VERSION: u32 = 0x0001_0000;
const EPOCH_2000: Duration = Duration::from_secs(946_684_800);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fixed,
    Dynamic,
}

#[derive(Debug)]
pub struct Footer {
    pub kind: Kind,
    pub current_size: u64,
    /// Of the header, in a dynamic VHD.
    pub data_offset: u64,
}

impl Footer {
    pub fn parse(bytes: &[u8]) -> Result<Footer> {
        ensure!(bytes.starts_with(COOKIE), "there is no VHD footer where one must be");
        ensure!(u32_at(bytes, 64) == checksum(bytes, 64), "the checksum of its VHD footer is wrong");
        let current_size = u64_at(bytes, 48);
        let kind = match u32_at(bytes, 60) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => bail!("it is a differencing VHD, of no use without its parent"),
            other => bail!("VHD disk type {other} is unknown"),
        };
        ensure!(current_size.is_multiple_of(SECTOR_BYTES), "its size is not a multiple of 512 bytes");
        ensure!(
            current_size <= MAX_VHD_BYTES,
            "its {current_size} bytes are more than the 2040 GiB of a VHD"
        );
        Ok(Footer { kind, current_size, data_offset: u64_at(bytes, 16) })
    }
}

/// The footer of a new dynamic VHD whose header follows it.
pub fn new_footer(current_size: u64) -> Result<Vec<u8>> {
    let mut footer = vec![0; len(FOOTER_BYTES)];
    let since_2000 =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + EPOCH_2000).unwrap_or_default();
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    put(&mut footer, 0, COOKIE);
    put(&mut footer, 8, &2_u32.to_be_bytes());
    put(&mut footer, 12, &VERSION.to_be_bytes());
    put(&mut footer, 16, &HEADER_OFFSET.to_be_bytes());
    put(&mut footer, 24, &u32::try_from(since_2000.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    // The name blktap writes: qemu takes the size from the geometry unless it knows the creator.
    put(&mut footer, 28, b"tap\0");
    put(&mut footer, 32, &0x0001_0003_u32.to_be_bytes());
    put(&mut footer, 40, &current_size.to_be_bytes());
    put(&mut footer, 48, &current_size.to_be_bytes());
    put(&mut footer, 56, &geometry(current_size / SECTOR_BYTES));
    put(&mut footer, 60, &3_u32.to_be_bytes());
    put(&mut footer, 68, &uuid);
    let sum = checksum(&footer, 64);
    put(&mut footer, 64, &sum.to_be_bytes());
    Ok(footer)
}

/// Cylinders, heads and sectors as the specification's appendix computes them.
fn geometry(sectors: u64) -> [u8; 4] {
    let sectors = sectors.min(65535 * 16 * 255);
    let (cylinder_times_heads, heads, per_track) = if sectors >= 65535 * 16 * 63 {
        (sectors / 255, 16, 255)
    } else {
        let heads = (sectors / 17).div_ceil(1024).max(4);
        if sectors / 17 < heads * 1024 && heads <= 16 {
            (sectors / 17, heads, 17)
        } else if sectors / 31 < 16 * 1024 {
            (sectors / 31, 16, 31)
        } else {
            (sectors / 63, 16, 63)
        }
    };
    let cylinders = u16::try_from(cylinder_times_heads / heads).unwrap_or(u16::MAX).to_be_bytes();
    [cylinders[0], cylinders[1], u8::try_from(heads).unwrap_or(16), per_track]
}

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

/// The one's complement of the sum of all bytes but the four of the checksum itself.
fn checksum(bytes: &[u8], at: usize) -> u32 {
    let sum = |part: Option<&[u8]>| part.into_iter().flatten().map(|&byte| u32::from(byte)).sum::<u32>();
    !(sum(bytes.get(..at)) + sum(bytes.get(at + 4..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let size = 5 * BLOCK_BYTES + 512;
        let bytes = new_footer(size).unwrap();
        let footer = Footer::parse(&bytes).unwrap();
        assert_eq!((footer.kind, footer.current_size, footer.data_offset), (Kind::Dynamic, size, 512));
        let head = new_head(&bytes, size);
        let header = Header::parse(&head[512..1536], size).unwrap();
        assert_eq!((header.entries, header.block_bytes, header.table_offset), (6, BLOCK_BYTES, 2048));
        assert_eq!(header.bitmap_bytes(), BITMAP_BYTES);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let good = new_footer(1 << 30).unwrap();
        for at in [8, 50, 70, 511] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let error = Footer::parse(&bad).unwrap_err().to_string();
            assert_eq!(error, "the checksum of its VHD footer is wrong", "byte {at}");
        }
    }

    #[test]
    fn geometries_of_the_specification() {
        assert_eq!(geometry((1 << 30) / 512), [0x08, 0x20, 16, 63]);
        assert_eq!(geometry((127 << 30) / 512), [0xff, 0xff, 16, 255]);
        assert_eq!(geometry((1 << 20) / 512), [0, 30, 4, 17]);
    }
}
