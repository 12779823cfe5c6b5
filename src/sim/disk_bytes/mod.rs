//! The bytes of a simulated VDI: one sparse raw file each, filled and read through streams as XAPI's
//! `/import_raw_vdi` and `/export_raw_vdi` handlers do.

mod changed;
mod raw;
mod vhd_layout;
mod vhd_read;
mod vhd_write;

pub use changed::blocks as changed_blocks;
pub use raw::{export_raw, import_raw};
pub use vhd_read::import_vhd;
pub use vhd_write::export_vhd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is read, tested for zeros and written at a time, in bytes: a page, the unit of a file's holes.
const PAGE: usize = 4096;
/// How much is copied at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// A VDI's file while it is filled: zero pages stay holes, nothing is written past the virtual size.
struct Filling {
    file: File,
    virtual_size: u64,
}

impl Filling {
    /// Empties the file at `path` (or makes it) and gives it `virtual_size` bytes, all of them a hole.
    fn start(path: &Path, virtual_size: u64) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        file.set_len(virtual_size)?;
        Ok(Self { file, virtual_size })
    }

    /// Writes `data` at `offset`; data that would end past the virtual size is refused.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(data.len() as u64);
        if end.is_none_or(|end| end > self.virtual_size) {
            return Err(bad(format!("the data is larger than the VDI's {} bytes", self.virtual_size)));
        }
        let mut at = offset;
        for page in data.chunks(PAGE) {
            if !is_zero(page) {
                self.file.write_all_at(page, at)?;
            }
            at += page.len() as u64;
        }
        Ok(())
    }
}

/// The parts of `file` that hold data, in ascending order; everything between them is a hole.
fn data_extents(file: &File) -> io::Result<Vec<Range<u64>>> {
    let mut extents = Vec::new();
    let mut at = 0;
    loop {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(extents),
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?;
        extents.push(start..end);
        at = end;
    }
}

/// Reads until `buffer` is full or the stream ends; returns the filled part.
fn read_up_to<'a>(reader: &mut dyn Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}

/// Whether all bytes are zero. The first is, and each is as the one before: the library compares slices by words.
pub fn is_zero(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return true };
    *first == 0 && bytes.get(..rest.len()) == Some(rest)
}

/// The error for a stream that is not what it should be.
fn bad(fault: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fault.into())
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn zeros_are_told_wherever_the_other_byte_is() {
        assert!(is_zero(&[]) && is_zero(&[0]) && is_zero(&[0; 512]));
        assert!(!is_zero(&[3; 512]));
        for at in [0, 1, 300, 511] {
            let mut bytes = [0; 512];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "byte {at}");
        }
    }
}
