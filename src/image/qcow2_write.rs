//! A qcow2 file of version 3, clusters of 64 KiB, not compressed: clusters as they come, L1 table, reference
//! counts and header at the end.

use super::big_endian::{len, put, u64_at};
use super::detect::QCOW2_MAGIC;
use super::sink::{RUN_BYTES, Sink, runs, write_at};
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// With the field of the compression type, and padding.
const HEADER_BYTES: u32 = 112;
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = RUN_BYTES as u64;
/// Bytes of the disk that one L2 table describes.
const L2_COVERS: u64 = CLUSTER * (CLUSTER / 8);
/// Of reference counts of 16 bits, in one cluster.
const COUNTS_IN_CLUSTER: u64 = CLUSTER / 2;
/// In L1 and L2 entries: referenced once.
const COPIED: u64 = 1 << 63;

pub struct Qcow2Sink<'a> {
    file: &'a File,
    l1: Vec<u8>,
    /// The L2 table in hand, and its place in the file; 0 if there is none yet.
    l2: Vec<u8>,
    l2_place: u64,
    /// Of the file so far, a multiple of the cluster size.
    end: u64,
}

impl<'a> Qcow2Sink<'a> {
    /// The header is to be cluster 0, the L1 table follows it.
    pub fn new(file: &'a File, size: u64) -> Qcow2Sink<'a> {
        let l1_bytes = (size.div_ceil(L2_COVERS) * 8).next_multiple_of(CLUSTER);
        let (l1, l2) = (vec![0; len(l1_bytes)], vec![0; RUN_BYTES]);
        Qcow2Sink { file, l1, l2, l2_place: 0, end: CLUSTER + l1_bytes }
    }

    fn append(&mut self, clusters: u64) -> u64 {
        let place = self.end;
        self.end += clusters * CLUSTER;
        place
    }

    fn store_l2(&self) -> Result<()> {
        if self.l2_place == 0 { Ok(()) } else { write_at(self.file, self.l2_place, &self.l2) }
    }

    /// Takes the L2 table of this offset in hand, a new one if need be.
    fn turn_to(&mut self, offset: u64) -> Result<()> {
        let entry = len(offset / L2_COVERS * 8);
        let known = u64_at(&self.l1, entry) & !COPIED;
        if known != 0 && known == self.l2_place {
            return Ok(());
        }
        self.store_l2()?;
        if known != 0 {
            self.file.read_exact_at(&mut self.l2, known).context("cannot read back an L2 table")?;
            self.l2_place = known;
        } else {
            self.l2.fill(0);
            self.l2_place = self.append(1);
            put(&mut self.l1, entry, &(self.l2_place | COPIED).to_be_bytes());
        }
        Ok(())
    }

    /// Appends reference counts of 1 for all clusters, their own included; gives the place of their table and
    /// how many clusters it has.
    fn store_refcounts(&mut self) -> Result<(u64, u64)> {
        let used = self.end / CLUSTER;
        let (mut blocks, mut tables) = (0, 0);
        while blocks * COUNTS_IN_CLUSTER < used + blocks + tables {
            blocks += 1;
            tables = (blocks * 8).div_ceil(CLUSTER);
        }
        let table_place = self.append(tables);
        let mut table = vec![0; len(tables * CLUSTER)];
        let clusters = used + blocks + tables;
        for block in 0..blocks {
            let ones = (clusters - block * COUNTS_IN_CLUSTER).min(COUNTS_IN_CLUSTER);
            let mut counts = 1_u16.to_be_bytes().repeat(len(ones));
            counts.resize(RUN_BYTES, 0);
            let place = self.append(1);
            write_at(self.file, place, &counts)?;
            put(&mut table, len(block * 8), &place.to_be_bytes());
        }
        write_at(self.file, table_place, &table)?;
        Ok((table_place, tables))
    }
}

impl Sink for Qcow2Sink<'_> {
    fn put(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        for (offset, run) in runs(offset, data) {
            self.turn_to(offset)?;
            let place = self.append(1);
            write_at(self.file, place, run)?;
            let entry = len(offset % L2_COVERS / CLUSTER * 8);
            put(&mut self.l2, entry, &(place | COPIED).to_be_bytes());
        }
        Ok(())
    }

    fn finish(&mut self, size: u64) -> Result<()> {
        self.store_l2()?;
        write_at(self.file, CLUSTER, &self.l1)?;
        let l1_entries = u32::try_from(size.div_ceil(L2_COVERS)).context("the disk is too large")?;
        let (refcounts, tables) = self.store_refcounts()?;
        let mut header = [0; HEADER_BYTES as usize];
        put(&mut header, 0, QCOW2_MAGIC);
        put(&mut header, 4, &3_u32.to_be_bytes());
        put(&mut header, 20, &CLUSTER_BITS.to_be_bytes());
        put(&mut header, 24, &size.to_be_bytes());
        put(&mut header, 36, &l1_entries.to_be_bytes());
        put(&mut header, 40, &CLUSTER.to_be_bytes());
        put(&mut header, 48, &refcounts.to_be_bytes());
        put(&mut header, 56, &u32::try_from(tables)?.to_be_bytes());
        // Reference counts of 2^4 bits.
        put(&mut header, 96, &4_u32.to_be_bytes());
        put(&mut header, 100, &HEADER_BYTES.to_be_bytes());
        write_at(self.file, 0, &header)?;
        // The last cluster may have been written in part.
        self.file.set_len(self.end).context("cannot set the image's length")
    }
}
