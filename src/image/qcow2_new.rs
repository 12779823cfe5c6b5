//! Qcow2 files without content of their own: new ones, also on a backing file, and ones that become larger.

use super::SECTOR_BYTES;
use super::big_endian::{count, is_zero, len, put};
use super::qcow2_facts::Qcow2Facts;
use super::qcow2_layout::HEADER_BYTES;
use super::qcow2_write::Qcow2Sink;
use super::sink::{Sink, write_at};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The header extension that tells the backing file's format.
const BACKING_FORMAT: u32 = 0xE279_2ACA;
/// The largest L1 table that qemu takes.
const MAX_L1_BYTES: u64 = 32 << 20;
/// The incompatible feature that changes nothing of the tables: how clusters are compressed.
const COMPRESSION_TYPE: u64 = 1 << 3;

/// Another file, which has what this one has not.
pub struct Backing<'a> {
    pub name: &'a str,
    pub format: &'a str,
}

/// Writes an image of `size` bytes without any content into an empty file.
pub fn create_qcow2(file: &File, size: u64, backing: Option<&Backing<'_>>) -> Result<()> {
    let size = size.next_multiple_of(SECTOR_BYTES);
    Qcow2Sink::new(file, size).finish(size)?;
    let Some(backing) = backing else { return Ok(()) };
    let format = backing.format.as_bytes();
    let name_at = HEADER_BYTES as usize + 8 + format.len().next_multiple_of(8) + 8;
    // The extension, and the end of extensions: all zeros.
    let mut bytes = vec![0; name_at - HEADER_BYTES as usize];
    put(&mut bytes, 0, &BACKING_FORMAT.to_be_bytes());
    put(&mut bytes, 4, &u32::try_from(format.len())?.to_be_bytes());
    put(&mut bytes, 8, format);
    bytes.extend(backing.name.as_bytes());
    ensure!(backing.name.len() <= 1023, "the name of the backing file is too long");
    write_at(file, HEADER_BYTES.into(), &bytes)?;
    let mut place = count(name_at).to_be_bytes().to_vec();
    place.extend(u32::try_from(backing.name.len())?.to_be_bytes());
    write_at(file, 8, &place)
}

/// Makes the image larger. What is new reads as zeros.
///
/// # Errors
///
/// The L1 table has no room to grow in its clusters, or the file has what must change with its size. It is then as
/// it was.
pub fn grow_qcow2(file: &File, size: u64) -> Result<()> {
    let size = size.next_multiple_of(SECTOR_BYTES);
    let facts = Qcow2Facts::read(file)?.context("it has no qcow2 header")?;
    ensure!(size >= facts.virtual_size_bytes, "it is larger already, and images are not made smaller");
    ensure!(facts.snapshots == 0, "it has snapshots within the file");
    ensure!(facts.autoclear_features == 0, "it has dirty bitmaps");
    let unknown = facts.incompatible_features & !COMPRESSION_TYPE;
    ensure!(unknown == 0, "it uses features {unknown:#x}, which stand in the way");
    ensure!(
        (9..=21).contains(&facts.cluster_bits),
        "clusters of 2^{} bytes are not possible",
        facts.cluster_bits
    );
    let cluster = 1_u64 << facts.cluster_bits;
    let needed = size.div_ceil(1 << (2 * facts.cluster_bits - 3));
    let (old_bytes, new_bytes) = (u64::from(facts.l1_entries) * 8, needed * 8);
    if new_bytes > old_bytes {
        let room = old_bytes.next_multiple_of(cluster);
        ensure!(
            new_bytes <= room && new_bytes <= MAX_L1_BYTES,
            "its L1 table has no room for {size} bytes: convert it into a new image, and resize that"
        );
        let mut behind = vec![0; len(new_bytes - old_bytes)];
        let at = facts.l1_offset.checked_add(old_bytes).context("its L1 table is nowhere")?;
        let end = file.metadata()?.len();
        // The file may end within the cluster.
        let there = len(end.saturating_sub(at)).min(behind.len());
        if let Some(there) = behind.get_mut(..there) {
            file.read_exact_at(there, at).context("cannot read its L1 table")?;
        }
        ensure!(is_zero(&behind), "what follows its L1 table is not empty");
        if at + new_bytes - old_bytes > end {
            file.set_len(at + new_bytes - old_bytes).context("cannot make room for its L1 table")?;
        }
    }
    // Both numbers in one write: a reader sees the old size or the new.
    let mut header = size.to_be_bytes().to_vec();
    header.extend(0_u32.to_be_bytes());
    header.extend(u32::try_from(needed)?.max(facts.l1_entries).to_be_bytes());
    let mut crypt = [0; 4];
    file.read_exact_at(&mut crypt, 32)?;
    ensure!(crypt == [0; 4], "it is encrypted");
    write_at(file, 24, &header)?;
    file.sync_all().context("cannot bring it to disk")
}
