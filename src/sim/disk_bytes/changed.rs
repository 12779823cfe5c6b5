//! Which blocks of a disk differ from what it held before.

use super::{data_extents, read_up_to};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The numbers of the blocks of `unit` bytes in which `new` is not as `old`, ascending. A file that is not there is
/// all zeros, and so is what lies past an end; against no `old` what has ever been written counts, zeros too.
pub fn blocks(old: Option<&Path>, new: &Path, unit: u64) -> io::Result<Vec<u64>> {
    let (mut old, mut new) = (Side::open(old)?, Side::open(Some(new))?);
    let mut touched: Vec<u64> = old.touched(unit).chain(new.touched(unit)).collect();
    touched.sort_unstable();
    touched.dedup();
    if old.file.is_none() {
        return Ok(touched);
    }
    let length = usize::try_from(unit).unwrap_or_default();
    let (mut was, mut is) = (vec![0; length], vec![0; length]);
    let mut changed = Vec::new();
    for block in touched {
        old.read(block * unit, &mut was)?;
        new.read(block * unit, &mut is)?;
        if was != is {
            changed.push(block);
        }
    }
    Ok(changed)
}

/// One of the two files, and where it has data.
struct Side {
    file: Option<File>,
    extents: Vec<Range<u64>>,
}

impl Side {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path.map(File::open) {
            None => None,
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => None,
            Some(file) => Some(file?),
        };
        let extents = file.as_ref().map(data_extents).transpose()?.unwrap_or_default();
        Ok(Self { file, extents })
    }

    fn touched(&self, unit: u64) -> impl Iterator<Item = u64> + use<'_> {
        self.extents.iter().flat_map(move |extent| extent.start / unit..extent.end.div_ceil(unit))
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        into.fill(0);
        let Some(file) = &mut self.file else { return Ok(()) };
        file.seek(SeekFrom::Start(at))?;
        read_up_to(file as &mut dyn Read, into).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_block_counts_if_a_byte_of_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for path in [&old, &new] {
            let file = File::create(path).unwrap();
            file.set_len(10 << 16).unwrap();
            file.write_all_at(b"same", 3 << 16).unwrap();
        }
        File::options().write(true).open(&new).unwrap().write_all_at(b"more", (5 << 16) - 2).unwrap();
        File::options().write(true).open(&old).unwrap().write_all_at(b"gone", 8 << 16).unwrap();
        assert_eq!(blocks(Some(&old), &new, 1 << 16).unwrap(), [4, 5, 8]);
        assert_eq!(blocks(None, &new, 1 << 16).unwrap(), [3, 4, 5]);
        assert_eq!(blocks(Some(&dir.path().join("none")), &new, 1 << 16).unwrap(), [3, 4, 5]);
    }
}
