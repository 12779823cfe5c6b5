//! qcow2 files, read through their L1 and L2 tables. Internal snapshots are not looked at.

use super::backing::{Backing, Chain};
use super::big_endian::{count, len, u64_at};
use super::blocks::Blocks;
use super::detect::Format;
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
    backing: Option<Box<dyn Content>>,
}

enum Cluster {
    /// Not in this file: in its backing file, or zeros.
    Absent,
    Zeros,
    Data(u64),
    /// By its L2 entry.
    Compressed(u64),
}

impl Qcow2 {
    /// Opens it, and the files behind it as far as the chain allows.
    pub fn open(file: File, chain: &Chain) -> Result<Qcow2> {
        let file_size = raw::size_bytes(&file)?;
        let header = Qcow2Header::read(&file, file_size)?;
        let backing = header.backing.as_ref().map(|backing| open_backing(backing, chain)).transpose()?;
        let mut l1 = vec![0; len(header.l1_entries * 8)];
        file.read_exact_at(&mut l1, header.l1_offset).context("cannot read its L1 table")?;
        let cluster = len(header.cluster_bytes());
        let (l2, inflated) = (vec![0; cluster], vec![0; cluster]);
        Ok(Qcow2 { file, file_size, header, l1, l2, l2_offset: 0, inflated, inflated_entry: 0, backing })
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

    /// What the file itself has not. A backing file may be shorter than the disk.
    fn read_behind(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let Some(backing) = &mut self.backing else {
            into.fill(0);
            return Ok(());
        };
        let has = len(backing.virtual_size_bytes().saturating_sub(offset)).min(into.len());
        let (part, rest) = into.split_at_mut(has);
        rest.fill(0);
        if part.is_empty() { Ok(()) } else { backing.read(offset, part) }
    }

    fn cluster(&mut self, offset: u64) -> Result<Cluster> {
        if !self.load_l2(offset)? {
            return Ok(Cluster::Absent);
        }
        let index = offset % self.l2_covers() / self.header.cluster_bytes();
        let entry = u64_at(&self.l2, len(index * 8));
        if entry & COMPRESSED != 0 {
            return Ok(Cluster::Compressed(entry));
        }
        let place = entry & OFFSET_MASK;
        if self.header.version == 3 && entry & ZERO != 0 {
            return Ok(Cluster::Zeros);
        }
        if place == 0 {
            return Ok(Cluster::Absent);
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

fn open_backing(backing: &Backing, chain: &Chain) -> Result<Box<dyn Content>> {
    let (next, file) = chain.next(backing)?;
    let open = || -> Result<Box<dyn Content>> {
        Ok(match backing.format {
            Format::Qcow2 => Box::new(Qcow2::open(file, &next)?),
            _ => Box::new(raw::Raw::open(file)?),
        })
    };
    open().with_context(|| format!("its backing file {}", backing.name))
}

impl Content for Qcow2 {
    fn virtual_size_bytes(&self) -> u64 {
        self.header.size
    }

    fn mark_allocated(&mut self, blocks: &mut Blocks) -> Result<()> {
        if let Some(backing) = &mut self.backing {
            backing.mark_allocated(blocks)?;
        }
        let mut offset = 0;
        while offset < self.header.size {
            if !self.load_l2(offset)? {
                offset += self.l2_covers();
                continue;
            }
            let table_end = (offset + self.l2_covers()).min(self.header.size);
            while offset < table_end {
                if !matches!(self.cluster(offset)?, Cluster::Zeros | Cluster::Absent) {
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
                Cluster::Absent => self.read_behind(offset, part)?,
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
