//! Reading a dynamic VHD from a pipe: only forward, blocks in whatever order they come.

use super::SECTOR_BYTES;
use super::big_endian::{count, len, u32_at};
use super::vhd::{COOKIE, FOOTER_BYTES, Footer, Kind};
use super::vhd_header::{HEADER_BYTES, Header, UNUSED};
use super::vhd_read::is_written;
use anyhow::{Context, Result, bail, ensure};
use std::io::{self, ErrorKind, Read};
use std::vec;

pub struct VhdStream<R> {
    input: Forward<R>,
    size: u64,
    header: Header,
    /// Sector and number of each block not yet read, by sector.
    to_come: vec::IntoIter<(u32, u32)>,
    bitmap: Vec<u8>,
    data: Vec<u8>,
}

impl<R: Read> VhdStream<R> {
    /// Reads up to the end of the block table.
    pub fn open(input: R) -> Result<VhdStream<R>> {
        let mut input = Forward { input, offset: 0 };
        let footer = Footer::parse(&input.take_at(0, FOOTER_BYTES)?)?;
        ensure!(footer.kind == Kind::Dynamic, "it is a fixed VHD, a dynamic one is expected");
        let header = input.take_at(footer.data_offset, HEADER_BYTES)?;
        let header = Header::parse(&header, footer.current_size)?;
        let needed = footer.current_size.div_ceil(header.block_bytes);
        let table = input.take_at(header.table_offset, needed * 4)?;
        input.skip_to(header.table_offset + header.entries * 4)?;
        let sectors = table.chunks_exact(4).map(|entry| u32_at(entry, 0));
        let mut to_come: Vec<(u32, u32)> = sectors.zip(0..).filter(|(sector, _)| *sector != UNUSED).collect();
        to_come.sort_unstable();
        Ok(VhdStream {
            input,
            size: footer.current_size,
            to_come: to_come.into_iter(),
            bitmap: vec![0; len(header.bitmap_bytes())],
            data: vec![0; len(header.block_bytes)],
            header,
        })
    }

    pub fn virtual_size_bytes(&self) -> u64 {
        self.size
    }

    /// Of one block.
    pub fn block_bytes(&self) -> u64 {
        self.header.block_bytes
    }

    /// The numbers of all blocks still to come, as they come.
    pub fn blocks(&self) -> impl Iterator<Item = u32> + '_ {
        self.to_come.as_slice().iter().map(|(_, block)| *block)
    }

    /// Of all blocks still to come.
    pub fn allocated_bytes(&self) -> u64 {
        count(self.to_come.len()) * self.header.block_bytes
    }

    /// The next block: its offset on the disk, and its data up to the disk's end. After the last, the footer
    /// is read, and all that follows, so that whoever writes it is not cut off.
    pub fn next_block(&mut self) -> Result<Option<(u64, &[u8])>> {
        let Some((sector, block)) = self.to_come.next() else {
            return self.end().map(|()| None);
        };
        self.input.skip_to(u64::from(sector) * SECTOR_BYTES)?;
        self.input.fill(&mut self.bitmap)?;
        self.input.fill(&mut self.data)?;
        for (index, sector) in self.data.chunks_mut(len(SECTOR_BYTES)).enumerate() {
            if !is_written(&self.bitmap, index) {
                sector.fill(0);
            }
        }
        let offset = u64::from(block) * self.header.block_bytes;
        let data = self.data.get(..len(self.size - offset)).unwrap_or(&self.data);
        Ok(Some((offset, data)))
    }

    fn end(&mut self) -> Result<()> {
        let next_sector = self.input.offset.next_multiple_of(SECTOR_BYTES);
        self.input.skip_to(next_sector)?;
        let mut sector = vec![0; len(FOOTER_BYTES)];
        while !sector.starts_with(COOKIE) {
            self.input.fill(&mut sector).context("its last footer is missing")?;
        }
        Footer::parse(&sector)?;
        io::copy(&mut self.input.input, &mut io::sink()).context("cannot read the VHD stream")?;
        Ok(())
    }
}

struct Forward<R> {
    input: R,
    offset: u64,
}

impl<R: Read> Forward<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        match self.input.read_exact(buffer) {
            Ok(()) => self.offset += count(buffer.len()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                bail!("the VHD stream is truncated: it ends after byte {}", self.offset)
            }
            Err(error) => return Err(error).context("cannot read the VHD stream"),
        }
        Ok(())
    }

    /// Read in pieces: the length may come from a damaged header.
    fn take_at(&mut self, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        self.skip_to(offset)?;
        let mut taken = Vec::new();
        let read =
            self.input.by_ref().take(bytes).read_to_end(&mut taken).context("cannot read the VHD stream")?;
        self.offset += count(read);
        ensure!(count(read) == bytes, "the VHD stream is truncated: it ends at byte {}", self.offset);
        Ok(taken)
    }

    fn skip_to(&mut self, offset: u64) -> Result<()> {
        let Some(gap) = offset.checked_sub(self.offset) else {
            bail!("the VHD stream is damaged: what belongs at byte {offset} overlaps what was before");
        };
        let skipped = io::copy(&mut self.input.by_ref().take(gap), &mut io::sink())
            .context("cannot read the VHD stream")?;
        self.offset += skipped;
        ensure!(skipped == gap, "the VHD stream is truncated: it ends at byte {}", self.offset);
        Ok(())
    }
}
