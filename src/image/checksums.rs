//! Checksums of what a disk holds, to compare what was sent with what was kept.

use super::big_endian::{is_zero, len};
use super::vhd_stream::VhdStream;
use super::{BLOCK_BYTES, Image};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};

/// Of each block of 2 MiB that is not all zeros, by its number.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checksums(BTreeMap<u64, u64>);

impl Checksums {
    /// Of a disk image, which is read for it.
    pub fn of_image(image: &mut Image) -> Result<Checksums> {
        let mut sums = Checksums::default();
        let content = image.content.as_mut();
        let size = content.virtual_size_bytes();
        let mut allocated = super::Blocks::of_disk(size);
        content.mark_allocated(&mut allocated)?;
        let mut data = vec![0; len(BLOCK_BYTES)];
        for (block, _) in (0..).zip(allocated.iter()).filter(|(_, allocated)| *allocated) {
            let offset = block * BLOCK_BYTES;
            let (inside, past_end) = data.split_at_mut(len((size - offset).min(BLOCK_BYTES)));
            past_end.fill(0);
            content.read(offset, inside)?;
            sums.add(block, &data);
        }
        Ok(sums)
    }

    /// Of the disk in a dynamic VHD.
    pub fn of_vhd(reader: &mut impl Read) -> Result<Checksums> {
        let mut stream = VhdStream::open(reader)?;
        let block_bytes = stream.block_bytes();
        ensure!(block_bytes == BLOCK_BYTES, "its blocks of {block_bytes} bytes are not those of XAPI");
        let mut sums = Checksums::default();
        let mut whole = vec![0; len(BLOCK_BYTES)];
        while let Some((offset, data)) = stream.next_block()? {
            whole.fill(0);
            whole.get_mut(..data.len()).context("a block is too large")?.copy_from_slice(data);
            sums.add(offset / BLOCK_BYTES, &whole);
        }
        Ok(sums)
    }

    /// The first byte of the first block that differs from another disk's; none if both hold the same.
    pub fn difference(&self, other: &Checksums) -> Option<u64> {
        let numbers = self.0.keys().chain(other.0.keys());
        let differing = numbers.filter(|block| self.0.get(block) != other.0.get(block));
        differing.min().map(|block| block * BLOCK_BYTES)
    }

    fn add(&mut self, block: u64, data: &[u8]) {
        if !is_zero(data) {
            let mut hasher = DefaultHasher::new();
            hasher.write(data);
            self.0.insert(block, hasher.finish());
        }
    }
}

/// A raw disk that passes, with the checksums of what has passed.
pub struct Summing<R> {
    from: R,
    wanted: bool,
    sums: Checksums,
    block: u64,
    /// What has come of the block so far.
    data: Vec<u8>,
}

impl<R> Summing<R> {
    /// Unless checksums are `wanted`, the disk only passes.
    pub fn new(from: R, wanted: bool) -> Summing<R> {
        Summing { from, wanted, sums: Checksums::default(), block: 0, data: Vec::new() }
    }

    /// The checksums, at the disk's end, if they were wanted.
    pub fn finish(mut self) -> Option<Checksums> {
        self.end_block();
        self.wanted.then_some(self.sums)
    }

    fn end_block(&mut self) {
        self.data.resize(len(BLOCK_BYTES), 0);
        self.sums.add(self.block, &self.data);
        self.block += 1;
        self.data.clear();
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        let mut rest = buffer.get(..count).filter(|_| self.wanted).unwrap_or_default();
        while !rest.is_empty() {
            let room = len(BLOCK_BYTES) - self.data.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.data.extend_from_slice(now);
            if self.data.len() == len(BLOCK_BYTES) {
                self.end_block();
            }
            rest = later;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(disk: &[u8]) -> Checksums {
        let mut summing = Summing::new(disk, true);
        io::copy(&mut summing, &mut io::sink()).unwrap();
        summing.finish().unwrap()
    }

    #[test]
    fn zeros_at_the_end_are_no_difference() {
        let mut disk = vec![0; 5 << 20];
        disk[100] = 1;
        let sums = of(&disk);
        assert_eq!(sums.0.len(), 1);
        disk.resize(9 << 20, 0);
        assert_eq!(sums.difference(&of(&disk)), None);
    }

    #[test]
    fn the_first_block_that_differs_is_told() {
        let mut disk = vec![7; 7 << 20];
        let sums = of(&disk);
        disk[(6 << 20) + 5] = 8;
        assert_eq!(sums.difference(&of(&disk)), Some(6 << 20));
        disk[(2 << 20) - 1] = 8;
        assert_eq!(of(&disk).difference(&sums), Some(0));
    }
}
