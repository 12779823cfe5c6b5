//! What VHDs and the volumes that hold them take, in bytes (sm `vhdutil.py`, `lvhdutil.py`).

use super::backend;
use crate::sim::refuse::Outcome;

/// The unit in which a VHD grows.
pub const BLOCK: u64 = 2 << 20;
/// The longest chain of VHDs (`vhdutil.py` `MAX_CHAIN_SIZE`).
pub const LONGEST_CHAIN: usize = 30;

/// The largest disk that the VHD format holds (2 TiB less its own structures).
const LARGEST: i64 = 2_088_960 << 20;
/// For disks of this size volumes have room in their tables, so that disks can grow (`lvhdutil.py` `MSIZE`).
const TABLES_FOR: i64 = 2 << 40;
/// Volumes are multiples of this (`lvutil.py` `LVM_SIZE_INCREMENT`).
const EXTENT: i64 = 4 << 20;
/// A block and, padded to a page, the bitmap of its sectors.
const BLOCK_AND_BITMAP: i64 = (2 << 20) + 4096;

/// Refuses a size that no VHD can have.
pub fn check_size(bytes: i64) -> Outcome<()> {
    if bytes > LARGEST {
        let limits = "VDI Invalid size [opterr=VDI size must be between 1 MB and 2088960 MB]";
        return Err(backend(79, limits));
    }
    Ok(())
}

/// The tables of an empty VHD (`calcOverheadEmpty`).
fn tables(size: i64) -> i64 {
    let blocks = (size >> 20) / 2;
    let with_table = up_to(3 * 1024 + blocks * 4, 512);
    up_to(with_table + blocks / 8, 4096)
}

/// A VHD file of a disk of `size`, with so many blocks in it.
pub fn file(size: i64, blocks: i64) -> i64 {
    tables(size) + blocks * BLOCK_AND_BITMAP
}

/// The volume of a disk of `size` that can be written to (`calcSizeVHDLV`).
pub fn volume(size: i64) -> i64 {
    let blocks = size.max(0).unsigned_abs().div_ceil(BLOCK);
    up_to(size + tables(TABLES_FOR) + i64::try_from(blocks).unwrap_or(0) * 4096, EXTENT)
}

/// A volume that has shrunk to what is in it.
pub fn shrunk_volume(blocks: i64) -> i64 {
    up_to(tables(TABLES_FOR) + blocks * BLOCK_AND_BITMAP, EXTENT)
}

/// Two volumes in which the storage manager notes what it is about to do.
pub const JOURNALS: i64 = 2 * EXTENT;

fn up_to(bytes: i64, unit: i64) -> i64 {
    (bytes + unit - 1) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_holds_the_disk_and_the_tables_of_the_largest_one() {
        // 10 GiB, 4,329,472 bytes of tables, 5,120 bitmaps of a page each, in units of 4 MiB.
        assert_eq!(volume(10 << 30), 10_766_778_368);
        assert_eq!(shrunk_volume(0), 8 << 20);
    }

    #[test]
    fn a_file_grows_with_its_blocks() {
        assert_eq!(file(10 << 30, 0), 24_576);
        assert_eq!(file(10 << 30, 3) - file(10 << 30, 0), 3 * (2 * 1024 * 1024 + 4096));
    }
}
