//! What qcow2 files of ours have in common: version 3, clusters of 64 KiB, reference counts of 16 bits (qemu
//! docs/interop/qcow2.txt).

use super::big_endian::{len, put};
use super::detect::QCOW2_MAGIC;
use super::sink::RUN_BYTES;
use anyhow::{Context, Result};

/// With the field of the compression type, and padding.
pub const HEADER_BYTES: u32 = 112;
const CLUSTER_BITS: u32 = 16;
pub const CLUSTER: u64 = RUN_BYTES as u64;
/// Entries of an L2 table.
pub const L2_ENTRIES: u64 = CLUSTER / 8;
/// Bytes of the disk that one L2 table describes.
pub const L2_COVERS: u64 = CLUSTER * L2_ENTRIES;
/// In L1 and L2 entries: referenced once.
pub const COPIED: u64 = 1 << 63;
/// An L2 entry: all of the cluster is zeros, whatever a backing file has there.
pub const ZEROS: u64 = 1;
/// Of reference counts, in one cluster.
const COUNTS_IN_CLUSTER: u64 = CLUSTER / 2;

/// Clusters of the L1 table for a disk of `size`, which is the second cluster of the file and those behind it.
pub fn l1_clusters(size: u64) -> u64 {
    (size.div_ceil(L2_COVERS) * 8).div_ceil(CLUSTER)
}

/// The reference counts of a file: a table of blocks of them.
pub struct Refcounts {
    /// Clusters of the table, and of what it lists.
    pub tables: u64,
    pub blocks: u64,
    /// Of the whole file, these included.
    clusters: u64,
}

impl Refcounts {
    /// Of a file that has `used` clusters without them.
    pub fn of(used: u64) -> Refcounts {
        let (mut blocks, mut tables) = (0, 0);
        while blocks * COUNTS_IN_CLUSTER < used + blocks + tables {
            blocks += 1;
            tables = (blocks * 8).div_ceil(CLUSTER);
        }
        Refcounts { tables, blocks, clusters: used + blocks + tables }
    }

    /// The table, for blocks that lie one behind the other from this place.
    pub fn table(&self, blocks_place: u64) -> Vec<u8> {
        let mut table = vec![0; len(self.tables * CLUSTER)];
        for block in 0..self.blocks {
            put(&mut table, len(block * 8), &(blocks_place + block * CLUSTER).to_be_bytes());
        }
        table
    }

    /// A block: each cluster that the file has is referenced once.
    pub fn block(&self, block: u64) -> Vec<u8> {
        let ones = self.clusters.saturating_sub(block * COUNTS_IN_CLUSTER).min(COUNTS_IN_CLUSTER);
        let mut counts = 1_u16.to_be_bytes().repeat(len(ones));
        counts.resize(RUN_BYTES, 0);
        counts
    }
}

/// The header of a file whose L1 table is its second cluster.
pub fn header(size: u64, refcounts_place: u64, refcounts: &Refcounts) -> Result<Vec<u8>> {
    let l1_entries = u32::try_from(size.div_ceil(L2_COVERS)).context("the disk is too large")?;
    let mut header = vec![0; HEADER_BYTES as usize];
    put(&mut header, 0, QCOW2_MAGIC);
    put(&mut header, 4, &3_u32.to_be_bytes());
    put(&mut header, 20, &CLUSTER_BITS.to_be_bytes());
    put(&mut header, 24, &size.to_be_bytes());
    put(&mut header, 36, &l1_entries.to_be_bytes());
    put(&mut header, 40, &CLUSTER.to_be_bytes());
    put(&mut header, 48, &refcounts_place.to_be_bytes());
    put(&mut header, 56, &u32::try_from(refcounts.tables)?.to_be_bytes());
    // Reference counts of 2^4 bits.
    put(&mut header, 96, &4_u32.to_be_bytes());
    put(&mut header, 100, &HEADER_BYTES.to_be_bytes());
    Ok(header)
}
