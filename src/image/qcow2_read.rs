//! qcow2 files, read through their L1 and L2 tables. Internal snapshots are not looked at.

use super::big_endian::{count, len, u64_at};
use super::blocks::Blocks;
use super::qcow2_header::Qcow2Header;
use super::{Content, SECTOR_BYTES, raw};
use anyhow::{Context, Result, bail, ensure};
use flate2::{Decompress, FlushDecompress};
use std::fs::File;
use std::os::unix::fs::FileExt;

const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// In version 3: reads as zeros, whatever the offset.
const ZERO: u64 = 1;

pub struct Qcow2 {
    file: File,
    file_size: u64,
    header: Qcow2Header,
    l1: Vec<u8>,
    /// The L2 table read last, and its place in the file.
    l2: Vec<u8>,
    l2_offset: u64,
    /// The cluster decompressed last, and its L2 entry.
    inflated: Vec<u8>,
    inflated_entry: u64,
}

enum Cluster {
    Zeros,
    Data(u64),
    /// By its L2 entry.
    Compressed(u64),
}

impl Qcow2 {
    pub fn open(file: File) -> Result<Qcow2> {
        let file_size = raw::size_bytes(&file)?;
        let header = Qcow2Header::read(&file, file_size)?;
        let mut l1 = vec![0; len(header.l1_entries * 8)];
        file.read_exact_at(&mut l1, header.l1_offset).context("cannot read its L1 table")?;
        let cluster = len(header.cluster_bytes());
        let (l2, inflated) = (vec![0; cluster], vec![0; cluster]);
        Ok(Qcow2 { file, file_size, header, l1, l2, l2_offset: 0, inflated, inflated_entry: 0 })
    }

    /// Loads the L2 table for an offset on the disk; `false` if there is none.
    fn load_l2(&mut self, offset: u64) -> Result<bool> {
        let index = offset / self.l2_covers();
        let place = u64_at(&self.l1, len(index * 8)) & OFFSET_MASK;
        if place != 0 && place != self.l2_offset {
            self.l2_offset = 0;
            self.file
                .read_exact_at(&mut self.l2, place)
                .with_context(|| format!("it is truncated or damaged: no L2 table at {place}"))?;
            self.l2_offset = place;
        }
        Ok(place != 0)
    }

    /// Bytes of the disk that one L2 table describes.
    fn l2_covers(&self) -> u64 {
        self.header.cluster_bytes() * (self.header.cluster_bytes() / 8)
    }

    fn cluster(&mut self, offset: u64) -> Result<Cluster> {
        if !self.load_l2(offset)? {
            return Ok(Cluster::Zeros);
        }
        let index = offset % self.l2_covers() / self.header.cluster_bytes();
        let entry = u64_at(&self.l2, len(index * 8));
        if entry & COMPRESSED != 0 {
            return Ok(Cluster::Compressed(entry));
        }
        let place = entry & OFFSET_MASK;
        if place == 0 || (self.header.version == 3 && entry & ZERO != 0) {
            return Ok(Cluster::Zeros);
        }
        Ok(Cluster::Data(place))
    }

    /// Fills `self.inflated`. The entry's lower bits are the place in bytes, the upper ones the number of
    /// further sectors; the last sector need not be wholly in the file.
    fn inflate(&mut self, entry: u64) -> Result<()> {
        if self.inflated_entry == entry {
            return Ok(());
        }
        self.inflated_entry = 0;
        let place_bits = 62 - (self.header.cluster_bits - 8);
        let place = entry & ((1 << place_bits) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> place_bits) + 1;
        let stored =
            (sectors * SECTOR_BYTES - place % SECTOR_BYTES).min(self.file_size.saturating_sub(place));
        let mut deflated = vec![0; len(stored)];
        self.file.read_exact_at(&mut deflated, place).context("cannot read a compressed cluster")?;
        let mut decompress = Decompress::new(false);
        let end = decompress.decompress(&deflated, &mut self.inflated, FlushDecompress::Finish);
        if end.is_err() || decompress.total_out() != self.header.cluster_bytes() {
            bail!("it is truncated or damaged: the compressed cluster at {place} is not whole");
        }
        self.inflated_entry = entry;
        Ok(())
    }
}

impl Content for Qcow2 {
    fn virtual_size_bytes(&self) -> u64 {
        self.header.size
    }

    fn mark_allocated(&mut self, blocks: &mut Blocks) -> Result<()> {
        let mut offset = 0;
        while offset < self.header.size {
            if !self.load_l2(offset)? {
                offset += self.l2_covers();
                continue;
            }
            let table_end = (offset + self.l2_covers()).min(self.header.size);
            while offset < table_end {
                if !matches!(self.cluster(offset)?, Cluster::Zeros) {
                    blocks.mark(offset, self.header.cluster_bytes());
                }
                offset += self.header.cluster_bytes();
            }
        }
        Ok(())
    }

    fn read(&mut self, mut offset: u64, mut into: &mut [u8]) -> Result<()> {
        while !into.is_empty() {
            let within = offset % self.header.cluster_bytes();
            let here = len(self.header.cluster_bytes() - within).min(into.len());
            let (part, rest) = into.split_at_mut(here);
            match self.cluster(offset)? {
                Cluster::Zeros => part.fill(0),
                Cluster::Data(place) => {
                    let end = place + within + count(here);
                    ensure!(
                        end <= self.file_size,
                        "it is truncated: {} bytes of at least {end}",
                        self.file_size
                    );
                    self.file.read_exact_at(part, place + within).context("cannot read a cluster")?;
                }
                Cluster::Compressed(entry) => {
                    self.inflate(entry)?;
                    if let Some(data) = self.inflated.get(len(within)..len(within) + here) {
                        part.copy_from_slice(data);
                    }
                }
            }
            offset += count(here);
            into = rest;
        }
        Ok(())
    }
}
