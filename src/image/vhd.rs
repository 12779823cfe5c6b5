//! The footer of a VHD ("Virtual Hard Disk Image Format Specification", Microsoft, 2006), as
//! vhd-tool reads and writes them (xapi `ocaml/libs/vhd/vhd_format/f.ml`). All numbers are big-endian.

use super::SECTOR_BYTES;
use super::big_endian::{len, put, u32_at, u64_at};
use anyhow::{Result, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime};

/// The largest disk that a VHD can hold.
pub const MAX_VHD_BYTES: u64 = 2040 << 30;
pub const COOKIE: &[u8] = b"conectix";
pub const FOOTER_BYTES: u64 = 512;

const HEADER_OFFSET: u64 = 512;
pub const VERSION: u32 = 0x0001_0000;
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

/// The one's complement of the sum of all bytes but the four of the checksum itself.
pub fn checksum(bytes: &[u8], at: usize) -> u32 {
    let sum = |part: Option<&[u8]>| part.into_iter().flatten().map(|&byte| u32::from(byte)).sum::<u32>();
    !(sum(bytes.get(..at)) + sum(bytes.get(at + 4..)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BLOCK_BYTES;

    #[test]
    fn what_is_built_is_read_back() {
        let size = 5 * BLOCK_BYTES + 512;
        let bytes = new_footer(size).unwrap();
        let footer = Footer::parse(&bytes).unwrap();
        assert_eq!((footer.kind, footer.current_size, footer.data_offset), (Kind::Dynamic, size, 512));
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
        assert_eq!(geometry((1 << 40) / 512), [0xff, 0xff, 16, 255]);
        assert_eq!(geometry((1 << 20) / 512), [0, 30, 4, 17]);
    }
}
