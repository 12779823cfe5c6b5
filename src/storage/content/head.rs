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

/// The size of the disk in such a format, in bytes, as its head tells: qcow2 (qemu docs/interop/qcow2.txt) at 24, a
/// dynamic VHD in the copy of its footer at 48, VMDK in sectors at 12.
pub fn virtual_size_bytes(head: &[u8]) -> Option<u64> {
    let number = |at: usize| head.get(at..at + 8)?.try_into().ok();
    let bytes = match head.first()? {
        b'Q' => u64::from_be_bytes(number(24)?),
        b'c' => u64::from_be_bytes(number(48)?),
        _ => u64::from_le_bytes(number(12)?).checked_mul(512)?,
    };
    (is_out_of_order(head) && bytes > 0).then_some(bytes)
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

#[cfg(test)]
mod tests {
    use super::virtual_size_bytes;

    #[test]
    fn the_head_of_a_container_tells_the_size_of_its_disk() {
        let head = |magic: &[u8], at: usize, number: [u8; 8]| {
            let mut head = vec![0; 512];
            head[..magic.len()].copy_from_slice(magic);
            head[at..at + 8].copy_from_slice(&number);
            virtual_size_bytes(&head)
        };
        assert_eq!(head(b"QFI\xfb", 24, 4096u64.to_be_bytes()), Some(4096));
        assert_eq!(head(b"conectix", 48, 4096u64.to_be_bytes()), Some(4096));
        assert_eq!(head(b"KDMV", 12, 8u64.to_le_bytes()), Some(4096));
        assert_eq!(head(b"KDMV", 12, u64::MAX.to_le_bytes()), None);
        assert_eq!(head(b"raw", 12, 8u64.to_le_bytes()), None);
        assert_eq!(virtual_size_bytes(b"QFI\xfb"), None);
    }
}
