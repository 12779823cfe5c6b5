//! A VDI's content as it is: one byte of the stream for each byte of the disk.

use super::{CHUNK, Filling, data_extents, read_up_to};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Fills the VDI file at `path`, `virtual_size` bytes long, from a raw stream. A shorter stream leaves
/// zeros behind it; a longer one is refused.
pub fn import_raw(reader: &mut dyn Read, path: &Path, virtual_size: u64) -> io::Result<()> {
    let vdi = Filling::start(path, virtual_size)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let data = read_up_to(reader, &mut buffer)?;
        if data.is_empty() {
            return Ok(());
        }
        vdi.write(at, data)?;
        at += data.len() as u64;
    }
}

/// Writes all bytes of the VDI file at `path`; only those that are not in a hole are read.
pub fn export_raw(path: &Path, writer: &mut dyn Write) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut at = 0;
    for extent in data_extents(&file)? {
        io::copy(&mut io::repeat(0).take(extent.start - at), writer)?;
        copy_range(&file, extent.start, extent.end, writer)?;
        at = extent.end;
    }
    io::copy(&mut io::repeat(0).take(size - at), writer)?;
    writer.flush()
}

/// Writes the bytes of `file` from `start` to `end`.
fn copy_range(file: &File, start: u64, end: u64, writer: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = start;
    while at < end {
        let count = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
        let part = buffer.get_mut(..count).unwrap_or_default();
        file.read_exact_at(part, at)?;
        writer.write_all(part)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_goes_in_comes_out_and_zeros_take_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vdi");
        let mut content = vec![0; 3 << 20];
        content[5] = 1;
        content[2_000_003] = 2;
        import_raw(&mut content.as_slice(), &path, 3 << 20).unwrap();
        assert!(path.metadata().unwrap().blocks() * 512 < 1 << 20);
        let mut out = Vec::new();
        export_raw(&path, &mut out).unwrap();
        assert!(out == content);
    }

    #[test]
    fn a_second_import_leaves_nothing_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vdi");
        import_raw(&mut [7; 9000].as_slice(), &path, 9000).unwrap();
        import_raw(&mut [8; 100].as_slice(), &path, 9000).unwrap();
        let mut out = Vec::new();
        export_raw(&path, &mut out).unwrap();
        assert_eq!((out[99], out[100], out.len()), (8, 0, 9000));
    }

    #[test]
    fn more_than_the_virtual_size_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = import_raw(&mut [0; 4097].as_slice(), &dir.path().join("vdi"), 4096).unwrap_err();
        assert_eq!(error.to_string(), "the data is larger than the VDI's 4096 bytes");
    }
}
