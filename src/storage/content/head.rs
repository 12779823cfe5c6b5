//! What an image's first bytes tell: its format, and whether it is compressed.

use crate::report::Result;
use anyhow::{Context, ensure};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// So much of a stream tells its format.
const HEAD_BYTES: usize = 4096;

/// Formats that cannot be taken in as they come.
const OUT_OF_ORDER: [&[u8]; 3] = [b"QFI\xfb", b"conectix", VMDK];
pub const VMDK: &[u8] = b"KDMV";

/// How compressed files begin, and what takes the compression away.
const COMPRESSIONS: [(&[u8], &str); 3] = [(b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")];

/// Whether it cannot be taken in as it comes.
pub fn is_out_of_order(head: &[u8]) -> bool {
    OUT_OF_ORDER.iter().any(|magic| head.starts_with(magic))
}

/// The program that takes the compression away; none if there is none.
pub fn decompressor(head: &[u8]) -> Option<&'static str> {
    COMPRESSIONS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, program)| *program)
}

/// The head of a file, which must be one.
pub fn of_file(path: &Path) -> Result<Vec<u8>> {
    let about = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(about.is_file(), "{} is not a file", path.display());
    take(&mut File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
}

/// The head of what is yet to be read.
pub fn take(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    from.take(HEAD_BYTES as u64).read_to_end(&mut head).context("cannot read the source")?;
    Ok(head)
}
