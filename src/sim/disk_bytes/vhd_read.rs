//! A VDI's content as a VHD stream, read in one pass: the reader may be a pipe.

use super::vhd_layout::{ABSENT, FOOTER_LEN, Footer, HEADER_LEN, Header, Kind, MAX_ENTRIES, SECTOR, take};
use super::{CHUNK, Filling, bad, read_up_to};
use std::io::{self, Read};
use std::path::Path;

/// Fills the VDI file at `path`, `virtual_size` bytes long, from a dynamic or fixed VHD. Refused are
/// differencing disks, wrong checksums, a stream that ends early, and a disk larger than the VDI.
pub fn import_vhd(reader: &mut dyn Read, path: &Path, virtual_size: u64) -> io::Result<()> {
    let vdi = Filling::start(path, virtual_size)?;
    let mut stream = Stream { reader, at: 0 };
    let mut first = [0; FOOTER_LEN];
    stream.fill(&mut first, "first sector")?;
    if Footer::begins(&first) {
        let footer = Footer::parse(&first)?;
        check_size(&footer, virtual_size)?;
        if footer.kind == Kind::Dynamic {
            return import_dynamic(&mut stream, &footer, &vdi);
        }
    }
    import_fixed(&mut stream, &first, &vdi)
}

fn check_size(footer: &Footer, virtual_size: u64) -> io::Result<()> {
    if footer.current_size <= virtual_size {
        return Ok(());
    }
    let size = footer.current_size;
    Err(bad(format!("the VHD's disk of {size} bytes is larger than the VDI's {virtual_size} bytes")))
}

/// The bytes of a VHD as they come; knows how many have passed.
struct Stream<'a> {
    reader: &'a mut dyn Read,
    at: u64,
}

impl Stream<'_> {
    /// Fills `buffer`; `what` names it in the error for a stream that ends before.
    fn fill(&mut self, buffer: &mut [u8], what: &str) -> io::Result<()> {
        let wanted = buffer.len();
        let got = read_up_to(self.reader, buffer)?.len();
        self.at += got as u64;
        if got == wanted { Ok(()) } else { Err(bad(format!("the VHD ends in its {what}"))) }
    }

    /// Leaves out everything before `offset`.
    fn skip_to(&mut self, offset: u64, what: &str) -> io::Result<()> {
        let Some(gap) = offset.checked_sub(self.at) else {
            return Err(bad(format!("the VHD's {what} lies before or in what precedes it in the file")));
        };
        let skipped = io::copy(&mut (&mut *self.reader).take(gap), &mut io::sink())?;
        self.at += skipped;
        if skipped == gap { Ok(()) } else { Err(bad(format!("the VHD ends before its {what}"))) }
    }
}

/// Reads header, table and blocks of a dynamic disk whose first footer has passed.
fn import_dynamic(stream: &mut Stream, footer: &Footer, vdi: &Filling) -> io::Result<()> {
    let mut header = [0; HEADER_LEN];
    stream.skip_to(footer.data_offset, "header")?;
    stream.fill(&mut header, "header")?;
    let header = Header::parse(&header)?;
    let blocks = read_table(stream, &header, footer.current_size)?;
    for (sector, block) in blocks {
        stream.skip_to(u64::from(sector) * SECTOR, "block")?;
        let start = block * u64::from(header.block_size);
        import_block(stream, &header, start, footer.current_size, vdi)?;
    }
    let mut end = Tail::default();
    end.pass(stream, |_, _| Ok(()))?;
    let closing = end.footer()?;
    if closing != *footer {
        return Err(bad("the VHD's footers at its beginning and end differ"));
    }
    Ok(())
}

/// The blocks that the file holds, as (sector, number), in the file's order.
fn read_table(stream: &mut Stream, header: &Header, size: u64) -> io::Result<Vec<(u32, u64)>> {
    if header.entries > MAX_ENTRIES || u64::from(header.entries) * u64::from(header.block_size) < size {
        return Err(bad(format!("the VHD's table of {} blocks does not fit its disk", header.entries)));
    }
    stream.skip_to(header.table_offset, "block allocation table")?;
    let mut table = vec![0; header.entries as usize * 4];
    stream.fill(&mut table, "block allocation table")?;
    let mut rest = table.as_slice();
    let mut blocks = Vec::new();
    for block in 0..u64::from(header.entries) {
        let sector = u32::from_be_bytes(take(&mut rest)?);
        if sector != ABSENT && block * u64::from(header.block_size) < size {
            blocks.push((sector, block));
        }
    }
    blocks.sort_unstable();
    Ok(blocks)
}

/// Reads one block, bitmap first, into the VDI at `start`; sectors whose bit is not set are zero.
fn import_block(
    stream: &mut Stream,
    header: &Header,
    start: u64,
    size: u64,
    vdi: &Filling,
) -> io::Result<()> {
    let mut bitmap = vec![0; header.bitmap_len()];
    stream.fill(&mut bitmap, "sector bitmap")?;
    let mut at = start;
    let block_size = header.block_size as usize;
    let mut buffer = vec![0; CHUNK.min(block_size)];
    let mut present = bitmap.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    for _ in 0..block_size / buffer.len() {
        stream.fill(&mut buffer, "block")?;
        for sector in buffer.chunks_mut(512) {
            if present.next() != Some(true) {
                sector.fill(0);
            }
        }
        // The last block may reach past the end of the disk.
        let inside = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
        if inside > 0 {
            vdi.write(at, buffer.get(..inside).unwrap_or(&buffer))?;
        }
        at += buffer.len() as u64;
    }
    Ok(())
}

/// Reads a fixed disk, whose footer comes last; `first` has passed.
fn import_fixed(stream: &mut Stream, first: &[u8], vdi: &Filling) -> io::Result<()> {
    let mut tail = Tail { held: first.to_vec() };
    let mut size = 0;
    tail.pass(stream, |at, data| {
        size = at + data.len() as u64;
        vdi.write(at, data)
    })?;
    let footer = tail.footer()?;
    if footer.kind != Kind::Fixed {
        return Err(bad("the VHD begins as a fixed disk and ends as a dynamic one"));
    }
    if footer.current_size != size {
        return Err(bad(format!(
            "the VHD has {size} bytes of data, its footer says {}",
            footer.current_size
        )));
    }
    Ok(())
}

/// Holds back the end of a stream, which is its footer.
#[derive(Default)]
struct Tail {
    held: Vec<u8>,
}

impl Tail {
    /// Gives what remains of `stream`, with its offset, to `sink`, but for the last sector.
    fn pass(
        &mut self,
        stream: &mut Stream,
        mut sink: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let got = read_up_to(stream.reader, &mut buffer)?;
            if got.is_empty() {
                return Ok(());
            }
            self.held.extend_from_slice(got);
            let through = self.held.len().saturating_sub(FOOTER_LEN);
            sink(at, self.held.get(..through).unwrap_or_default())?;
            self.held.drain(..through);
            at += through as u64;
        }
    }

    /// The footer that the stream ended with.
    fn footer(self) -> io::Result<Footer> {
        match self.held.try_into() {
            Ok(bytes) => Footer::parse(&bytes),
            Err(_) => Err(bad("the VHD ends before its footer")),
        }
    }
}
