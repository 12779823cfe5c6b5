//! A qcow2 file, not compressed: clusters as they come, L1 table, reference counts and header at the end.

use super::big_endian::{len, put, u64_at};
use super::qcow2_layout::{CLUSTER, COPIED, L2_COVERS, Refcounts, header, l1_clusters};
use super::sink::{RUN_BYTES, Sink, runs, write_at};
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;

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
        let l1_bytes = l1_clusters(size) * CLUSTER;
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

    /// Appends the reference counts of all clusters, their own included; gives the place of their table.
    fn store_refcounts(&mut self) -> Result<(u64, Refcounts)> {
        let counts = Refcounts::of(self.end / CLUSTER);
        let place = self.append(counts.tables);
        let blocks = self.append(counts.blocks);
        write_at(self.file, place, &counts.table(blocks))?;
        for block in 0..counts.blocks {
            write_at(self.file, blocks + block * CLUSTER, &counts.block(block))?;
        }
        Ok((place, counts))
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
        let (place, refcounts) = self.store_refcounts()?;
        write_at(self.file, 0, &header(size, place, &refcounts)?)?;
        // The last cluster may have been written in part.
        self.file.set_len(self.end).context("cannot set the image's length")
    }
}
