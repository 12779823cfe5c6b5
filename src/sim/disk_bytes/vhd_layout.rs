//! The footer and the header of a VHD file (Microsoft's "Virtual Hard Disk Image Format Specification" 1.0).

use super::bad;
use std::io::{self, Read};

/// Bytes in a sector, the unit of a VHD's offsets.
pub const SECTOR: u64 = 512;
/// Bytes of a footer and of a dynamic disk's header.
pub const FOOTER_LEN: usize = 512;
pub const HEADER_LEN: usize = 1024;
/// The entry of the block allocation table for a block that is not in the file.
pub const ABSENT: u32 = u32::MAX;
/// The format's largest disk, 2040 GiB, in blocks of 2 MiB; a larger table is taken for a broken header.
pub const MAX_ENTRIES: u32 = 2040 * 512;

const FOOTER_COOKIE: [u8; 8] = *b"conectix";
const HEADER_COOKIE: [u8; 8] = *b"cxsparse";
const FOOTER_CHECKSUM_AT: usize = 64;
const HEADER_CHECKSUM_AT: usize = 36;
const VERSION: u32 = 0x0001_0000;

/// How a VHD file holds its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All bytes of the disk, then the footer.
    Fixed,
    /// Footer, header, table and those blocks that were ever written.
    Dynamic,
}

/// What a footer says of the disk; sizes and offsets in bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Footer {
    pub kind: Kind,
    pub current_size: u64,
    pub data_offset: u64,
    pub uuid: [u8; 16],
}

impl Footer {
    /// Whether `bytes` begin as a footer does.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&FOOTER_COOKIE)
    }

    /// Reads and checks a footer; a differencing disk is refused, as its parent is not in the stream.
    pub fn parse(bytes: &[u8; FOOTER_LEN]) -> io::Result<Self> {
        if !Self::begins(bytes) {
            return Err(bad("the VHD has no footer"));
        }
        check_sum(bytes, FOOTER_CHECKSUM_AT, "footer")?;
        let mut rest = bytes.as_slice();
        let _cookie_features_version: [u8; 16] = take(&mut rest)?;
        let data_offset = u64::from_be_bytes(take(&mut rest)?);
        let _times_creator_original_size: [u8; 24] = take(&mut rest)?;
        let current_size = u64::from_be_bytes(take(&mut rest)?);
        let _geometry: [u8; 4] = take(&mut rest)?;
        let kind = match u32::from_be_bytes(take(&mut rest)?) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => return Err(bad("the VHD is a differencing disk: its parent is not in the stream")),
            other => return Err(bad(format!("the VHD's footer has the unknown disk type {other}"))),
        };
        let _checksum: [u8; 4] = take(&mut rest)?;
        Ok(Self { kind, current_size, data_offset, uuid: take(&mut rest)? })
    }

    /// The footer's bytes. `creator` is blktap's, as an SR of XAPI makes VHDs: readers then take the size
    /// from the footer and not, rounded, from the geometry (qemu `block/vpc.c`).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_LEN);
        bytes.extend(FOOTER_COOKIE);
        bytes.extend(2_u32.to_be_bytes());
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.data_offset.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(*b"tap\0");
        bytes.extend(0x0001_0003_u32.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(self.current_size.to_be_bytes());
        bytes.extend(self.current_size.to_be_bytes());
        bytes.extend(geometry(self.current_size / SECTOR));
        let kind: u32 = match self.kind {
            Kind::Fixed => 2,
            Kind::Dynamic => 3,
        };
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.uuid);
        bytes.resize(FOOTER_LEN, 0);
        with_checksum(bytes, FOOTER_CHECKSUM_AT)
    }
}

/// What a dynamic disk's header says: where the block allocation table is and how large it and the blocks are.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    pub table_offset: u64,
    pub entries: u32,
    pub block_size: u32,
}

impl Header {
    /// Reads and checks a header.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> io::Result<Self> {
        if !bytes.starts_with(&HEADER_COOKIE) {
            return Err(bad("the dynamic VHD has no header where its footer says"));
        }
        check_sum(bytes, HEADER_CHECKSUM_AT, "header")?;
        let mut rest = bytes.as_slice();
        let _cookie_data_offset: [u8; 16] = take(&mut rest)?;
        let table_offset = u64::from_be_bytes(take(&mut rest)?);
        let _version: [u8; 4] = take(&mut rest)?;
        let entries = u32::from_be_bytes(take(&mut rest)?);
        let block_size = u32::from_be_bytes(take(&mut rest)?);
        if !block_size.is_power_of_two() || u64::from(block_size) < SECTOR {
            return Err(bad(format!(
                "the VHD's blocks of {block_size} bytes are not a power of two of sectors"
            )));
        }
        Ok(Self { table_offset, entries, block_size })
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend(HEADER_COOKIE);
        bytes.extend(u64::MAX.to_be_bytes());
        bytes.extend(self.table_offset.to_be_bytes());
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.entries.to_be_bytes());
        bytes.extend(self.block_size.to_be_bytes());
        bytes.resize(HEADER_LEN, 0);
        with_checksum(bytes, HEADER_CHECKSUM_AT)
    }

    /// Bytes of the sector bitmap before each block: one bit a sector, filled up to a whole sector.
    pub fn bitmap_len(&self) -> usize {
        (self.block_size as usize / 512).div_ceil(8).next_multiple_of(512)
    }
}

/// Cylinders, heads and sectors a track for a disk of `sectors`, by the specification's appendix.
fn geometry(sectors: u64) -> [u8; 4] {
    let sectors = u32::try_from(sectors.min(65535 * 16 * 255)).unwrap_or(u32::MAX);
    let (cylinders_heads, heads, track) =
        if sectors >= 65535 * 16 * 63 { (sectors / 255, 16, 255) } else { small_geometry(sectors) };
    let [_, _, high, low] = (cylinders_heads / heads).to_be_bytes();
    let [.., heads] = heads.to_be_bytes();
    let [.., track] = track.to_be_bytes();
    [high, low, heads, track]
}

/// For disks that a BIOS can address: cylinders × heads, heads, sectors a track.
fn small_geometry(sectors: u32) -> (u32, u32, u32) {
    let heads = (sectors / 17).div_ceil(1024).max(4);
    if sectors / 17 < heads * 1024 && heads <= 16 {
        return (sectors / 17, heads, 17);
    }
    if sectors / 31 < 16 * 1024 {
        return (sectors / 31, 16, 31);
    }
    (sectors / 63, 16, 63)
}

/// The next `N` bytes of `rest`.
pub fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    rest.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The one's complement of the sum of all bytes but the checksum's own four.
fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = at..at + 4;
    let counted = bytes.iter().enumerate().filter(|(index, _)| !own.contains(index));
    !counted.fold(0_u32, |sum, (_, &byte)| sum.wrapping_add(byte.into()))
}

fn check_sum(bytes: &[u8], at: usize, what: &str) -> io::Result<()> {
    let stored = bytes.get(at..at + 4).unwrap_or_default();
    if stored == checksum(bytes, at).to_be_bytes() {
        return Ok(());
    }
    Err(bad(format!("the VHD's {what} has a wrong checksum")))
}

fn with_checksum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = checksum(&bytes, at).to_be_bytes();
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&sum);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_follows_the_specification() {
        assert_eq!(geometry(20_480), [0x01, 0x2d, 4, 17]); // 10 MiB: 301 cylinders
        assert_eq!(geometry(2 * 1024 * 1024), [0x08, 0x20, 16, 63]); // 1 GiB: 2080 cylinders
        assert_eq!(geometry(u64::MAX), [0xff, 0xff, 16, 255]);
    }

    #[test]
    fn footer_and_header_survive_their_bytes() {
        let footer = Footer { kind: Kind::Dynamic, current_size: 12 << 20, data_offset: 512, uuid: [9; 16] };
        let bytes: [u8; FOOTER_LEN] = footer.to_bytes().try_into().unwrap();
        assert_eq!(Footer::parse(&bytes).unwrap(), footer);
        let header = Header { table_offset: 1536, entries: 6, block_size: 2 << 20 };
        let bytes: [u8; HEADER_LEN] = header.to_bytes().try_into().unwrap();
        assert_eq!(Header::parse(&bytes).unwrap(), header);
        assert_eq!(header.bitmap_len(), 512);
    }
}
