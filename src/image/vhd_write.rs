//! Streams for `xe vdi-import`: a dynamic VHD, or the disk as it is.

use super::big_endian::{count, len};
use super::blocks::Blocks;
use super::vhd::{FOOTER_BYTES, new_footer};
use super::vhd_header::{BITMAP_BYTES, TABLE_OFFSET, UNUSED, new_head, table_bytes};
use super::{BLOCK_BYTES, Content, MAX_VHD_BYTES, SECTOR_BYTES};
use anyhow::{Context, Result, ensure};
use std::io::Write;

/// Where the footer that ends a VHD stream is.
///
/// After the last block, vhd-tool goes on to the last sector of the length it was told (xapi v25.6.0
/// `ocaml/libs/vhd/vhd_format/f.ml`, `openstream`). `xe` tells it the length of a regular file
/// (`ocaml/xe-cli/newcli.ml`, `HttpPut`); for a pipe it tells none, and vhd-tool takes the VDI's size. If the
/// stream ends before, vhd-tool dies of `End_of_file`, and XAPI says `VDI_IO_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastFooter {
    /// After the last block: a VHD as it is in a file.
    AfterBlocks,
    /// In the last sector of the VDI's size, after zeros, and after the last block too: for a pipe.
    AtVdiSize,
}

/// What was streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Blocks of 2 MiB with data.
    pub blocks: u64,
    /// Of the whole stream.
    pub bytes: u64,
}

/// Whether a VHD of this content can end at the size of the VDI.
pub fn fits_pipe(content: &mut dyn Content, vdi_size: u64) -> Result<bool> {
    let blocks = allocated(content, vdi_size)?;
    Ok(end_of_blocks(&blocks, vdi_size) + FOOTER_BYTES <= vdi_size)
}

pub fn write_vhd(
    content: &mut dyn Content,
    out: &mut impl Write,
    vdi_size: u64,
    last_footer: LastFooter,
) -> Result<Written> {
    let blocks = allocated(content, vdi_size)?;
    let end = end_of_blocks(&blocks, vdi_size);
    let stream_bytes = match last_footer {
        LastFooter::AfterBlocks => end + FOOTER_BYTES,
        LastFooter::AtVdiSize => vdi_size,
    };
    ensure!(end + FOOTER_BYTES <= stream_bytes, "as a VHD it is larger than the VDI of {vdi_size} bytes");
    let footer = new_footer(vdi_size)?;
    let write =
        |out: &mut dyn Write, bytes: &[u8]| out.write_all(bytes).context("cannot write the VHD stream");
    write(out, &new_head(&footer, vdi_size))?;
    write(out, &block_table(&blocks, vdi_size))?;
    let mut data = vec![0; len(BLOCK_BYTES)];
    for (offset, _) in offsets(&blocks).filter(|(_, allocated)| *allocated) {
        read_padded(content, offset, &mut data)?;
        write(out, &bitmap(vdi_size - offset))?;
        write(out, &data)?;
    }
    write(out, &footer)?;
    if stream_bytes > end + FOOTER_BYTES {
        data.fill(0);
        let mut zeros = stream_bytes - end - 2 * FOOTER_BYTES;
        while zeros > 0 {
            let part = data.get(..len(zeros)).unwrap_or(&data);
            write(out, part)?;
            zeros -= count(part.len());
        }
        write(out, &footer)?;
    }
    out.flush().context("cannot write the VHD stream")?;
    Ok(Written { blocks: blocks.allocated(), bytes: stream_bytes })
}

pub fn write_raw(content: &mut dyn Content, out: &mut impl Write, vdi_size: u64) -> Result<Written> {
    let blocks = allocated(content, vdi_size)?;
    let mut data = vec![0; len(BLOCK_BYTES)];
    for (offset, allocated) in offsets(&blocks) {
        if allocated {
            read_padded(content, offset, &mut data)?;
        } else {
            data.fill(0);
        }
        let part = data.get(..len(vdi_size - offset)).unwrap_or(&data);
        out.write_all(part).context("cannot write the raw stream")?;
    }
    out.flush().context("cannot write the raw stream")?;
    Ok(Written { blocks: blocks.allocated(), bytes: vdi_size })
}

fn allocated(content: &mut dyn Content, vdi_size: u64) -> Result<Blocks> {
    let size = content.virtual_size_bytes();
    ensure!(vdi_size >= size, "its {size} bytes do not fit a VDI of {vdi_size}");
    ensure!(vdi_size <= MAX_VHD_BYTES, "a VDI of {vdi_size} bytes is larger than the 2040 GiB of a VHD");
    ensure!(
        vdi_size.is_multiple_of(SECTOR_BYTES),
        "the VDI's size {vdi_size} is not a multiple of 512 bytes"
    );
    let mut blocks = Blocks::of_disk(vdi_size);
    content.mark_allocated(&mut blocks)?;
    Ok(blocks)
}

fn offsets(blocks: &Blocks) -> impl Iterator<Item = (u64, bool)> {
    (0..).step_by(len(BLOCK_BYTES)).zip(blocks.iter())
}

fn first_block(vdi_size: u64) -> u64 {
    TABLE_OFFSET + table_bytes(vdi_size.div_ceil(BLOCK_BYTES))
}

fn end_of_blocks(blocks: &Blocks, vdi_size: u64) -> u64 {
    first_block(vdi_size) + blocks.allocated() * (BITMAP_BYTES + BLOCK_BYTES)
}

fn block_table(blocks: &Blocks, vdi_size: u64) -> Vec<u8> {
    let mut next = first_block(vdi_size) / SECTOR_BYTES;
    let mut table = Vec::new();
    for allocated in blocks.iter() {
        // A disk of 2040 GiB, full, ends below sector 2^32.
        let entry = if allocated { u32::try_from(next).unwrap_or(UNUSED) } else { UNUSED };
        next += if allocated { (BITMAP_BYTES + BLOCK_BYTES) / SECTOR_BYTES } else { 0 };
        table.extend(entry.to_be_bytes());
    }
    table.resize(len(table_bytes(count(table.len() / 4))), 0xff);
    table
}

/// All sectors of a block written, but those past the end of the VDI: vhd-tool would write there.
fn bitmap(bytes_left: u64) -> Vec<u8> {
    let sectors = len(bytes_left.min(BLOCK_BYTES) / SECTOR_BYTES);
    let mut bitmap = vec![0xff; sectors / 8];
    if !sectors.is_multiple_of(8) {
        bitmap.push(!(0xff >> (sectors % 8)));
    }
    bitmap.resize(len(BITMAP_BYTES), 0);
    bitmap
}

/// Reads a block, zeros past the content's end.
fn read_padded(content: &mut dyn Content, offset: u64, block: &mut [u8]) -> Result<()> {
    let stored = len(content.virtual_size_bytes().saturating_sub(offset)).min(block.len());
    let (data, past_end) = block.split_at_mut(stored);
    past_end.fill(0);
    content.read(offset, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_ends_where_the_disk_does() {
        assert_eq!(bitmap(10 * BLOCK_BYTES), vec![0xff; 512]);
        assert_eq!(bitmap(BLOCK_BYTES), vec![0xff; 512]);
        let last = bitmap(11 * 512);
        assert_eq!((last.len(), &last[..3]), (512, &[0xff, 0xe0, 0][..]));
    }

    #[test]
    fn a_full_table_of_the_largest_disk_has_room() {
        let mut blocks = Blocks::of_disk(MAX_VHD_BYTES);
        blocks.mark(0, MAX_VHD_BYTES);
        let table = block_table(&blocks, MAX_VHD_BYTES);
        assert!(table.chunks(4).all(|entry| entry != [0xff; 4]));
    }
}
