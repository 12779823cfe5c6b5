//! A VDI's content as a VHD stream, written in one pass.

use super::vhd_layout::{FOOTER_LEN, Footer, HEADER_LEN, Header, Kind, MAX_ENTRIES, SECTOR};
use super::{bad, data_extents, is_zero};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a block in what we write, as blktap has them.
const BLOCK: u64 = 2 << 20;

/// Writes the VDI file at `path` as a dynamic VHD that holds only blocks with data in them.
/// `uuid` is the VDI's.
pub fn export_vhd(path: &Path, virtual_size: u64, uuid: &str, writer: &mut dyn Write) -> io::Result<()> {
    let file = File::open(path)?;
    let size = virtual_size.next_multiple_of(SECTOR);
    let entries = u32::try_from(size.div_ceil(BLOCK)).unwrap_or(u32::MAX);
    if entries > MAX_ENTRIES {
        return Err(bad(format!("a disk of {virtual_size} bytes is too large for a VHD")));
    }
    let footer =
        Footer { kind: Kind::Dynamic, current_size: size, data_offset: SECTOR, uuid: uuid_bytes(uuid)? };
    let header = Header { table_offset: (FOOTER_LEN + HEADER_LEN) as u64, entries, block_size: 2 << 20 };
    let blocks = blocks_with_data(&file, size)?;
    writer.write_all(&footer.to_bytes())?;
    writer.write_all(&header.to_bytes())?;
    writer.write_all(&table(&blocks, &header)?)?;
    for block in blocks {
        export_block(&file, block * BLOCK, writer)?;
    }
    writer.write_all(&footer.to_bytes())?;
    writer.flush()
}

/// The numbers of the blocks that hold data, ascending.
fn blocks_with_data(file: &File, size: u64) -> io::Result<Vec<u64>> {
    let mut blocks = Vec::new();
    for extent in data_extents(file)? {
        blocks.extend(extent.start / BLOCK..extent.end.min(size).div_ceil(BLOCK));
    }
    blocks.dedup();
    Ok(blocks)
}

/// The block allocation table, filled up to a whole sector, for `blocks` that follow it in order.
fn table(blocks: &[u64], header: &Header) -> io::Result<Vec<u8>> {
    let len = (header.entries as usize * 4).next_multiple_of(512);
    let mut sector = (header.table_offset + len as u64) / SECTOR;
    let mut table = vec![0xff; len];
    for &block in blocks {
        let entry = u32::try_from(sector).map_err(|_| bad("the VHD is too large for its table"))?;
        let place = usize::try_from(block).ok().and_then(|block| table.chunks_exact_mut(4).nth(block));
        place
            .ok_or_else(|| bad("the VDI's file is longer than its virtual size"))?
            .copy_from_slice(&entry.to_be_bytes());
        sector += (BLOCK + header.bitmap_len() as u64) / SECTOR;
    }
    Ok(table)
}

/// Writes bitmap and data of the block at `start`; a sector's bit is set if it holds something.
fn export_block(file: &File, start: u64, writer: &mut dyn Write) -> io::Result<()> {
    let mut data = Vec::new();
    read_at(file, start, &mut data)?;
    let mut bitmap = vec![0_u8; 512];
    for (index, sector) in data.chunks(512).enumerate() {
        if let Some(byte) = bitmap.get_mut(index / 8).filter(|_| !is_zero(sector)) {
            *byte |= 0x80 >> (index % 8);
        }
    }
    writer.write_all(&bitmap)?;
    writer.write_all(&data)
}

/// Reads a block's bytes; what lies past the end of the file is zero.
fn read_at(file: &File, start: u64, data: &mut Vec<u8>) -> io::Result<()> {
    data.resize(usize::try_from(BLOCK).unwrap_or_default(), 0);
    let mut filled = 0;
    while let Some(rest) = data.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, start + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(())
}

/// The 16 bytes of a uuid's text.
fn uuid_bytes(uuid: &str) -> io::Result<[u8; 16]> {
    let digits: String = uuid.chars().filter(|&digit| digit != '-').collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 => Ok(number.to_be_bytes()),
        _ => Err(bad(format!("{uuid} is not a uuid"))),
    }
}

#[cfg(test)]
#[path = "vhd_tests.rs"]
mod tests;
