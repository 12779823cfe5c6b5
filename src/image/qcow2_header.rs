//! The header of a qcow2 image, versions 2 and 3 (qemu docs/interop/qcow2.txt). All numbers are big-endian.

use super::SECTOR_BYTES;
use super::backing::Backing;
use super::big_endian::{count, len, u32_at, u64_at};
use super::detect::{Format, QCOW2_MAGIC};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The largest L1 table that qemu takes.
const MAX_L1_BYTES: u64 = 32 << 20;

/// Of the name of a backing file.
const MAX_NAME_BYTES: u32 = 1023;
/// The type of the extension that tells the backing file's format.
const BACKING_FORMAT: u32 = 0xe279_2aca;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

pub struct Qcow2Header {
    pub version: u32,
    pub cluster_bits: u32,
    /// Rounded up to 512 bytes.
    pub size: u64,
    pub l1_offset: u64,
    /// Entries of the L1 table that the size needs.
    pub l1_entries: u64,
    /// Where what it has not itself is.
    pub backing: Option<Backing>,
}

impl Qcow2Header {
    /// Reads the header and refuses what the clusters alone cannot give.
    pub fn read(file: &File, file_size: u64) -> Result<Qcow2Header> {
        let mut bytes = vec![0; len(file_size.min(SECTOR_BYTES))];
        file.read_exact_at(&mut bytes, 0).context("cannot read its header")?;
        ensure!(bytes.starts_with(QCOW2_MAGIC), "it has no qcow2 header");
        let version = u32_at(&bytes, 4);
        ensure!(matches!(version, 2 | 3), "qcow2 version {version} is not supported");
        ensure!(count(bytes.len()) >= if version == 2 { 72 } else { 104 }, "it is truncated in its header");
        let backing = match u64_at(&bytes, 8) {
            0 => None,
            place => Some(Backing {
                name: backing_name(file, place, u32_at(&bytes, 16))?,
                format: backing_format(&bytes, version)?,
            }),
        };
        ensure!(u32_at(&bytes, 32) == 0, "it is encrypted");
        if version == 3 {
            check_features(u64_at(&bytes, 72), &bytes)?;
        }
        let cluster_bits = u32_at(&bytes, 20);
        ensure!((9..=21).contains(&cluster_bits), "clusters of 2^{cluster_bits} bytes are not possible");
        let size =
            u64_at(&bytes, 24).checked_next_multiple_of(SECTOR_BYTES).context("its size is not possible")?;
        let l1_entries = size.div_ceil(1 << (2 * cluster_bits - 3));
        let l1_offset = u64_at(&bytes, 40);
        ensure!(u64::from(u32_at(&bytes, 36)) >= l1_entries, "its L1 table is too short for its size");
        ensure!(l1_entries * 8 <= MAX_L1_BYTES, "its L1 table is larger than qemu allows");
        ensure!(l1_offset.saturating_add(l1_entries * 8) <= file_size, "it is truncated in its L1 table");
        Ok(Qcow2Header { version, cluster_bits, size, l1_offset, l1_entries, backing })
    }

    pub fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }
}

fn check_features(incompatible: u64, bytes: &[u8]) -> Result<()> {
    ensure!(incompatible & CORRUPT == 0, "it is marked corrupt: repair it with qemu-img check -r all");
    ensure!(incompatible & EXTERNAL_DATA == 0, "its data are in another, external file");
    ensure!(incompatible & EXTENDED_L2 == 0, "extended L2 entries (subclusters) are not supported");
    if incompatible & COMPRESSION_TYPE != 0 {
        match bytes.get(104) {
            Some(0) => (),
            Some(1) => bail!("its clusters are compressed by zstd, which is not supported (zlib is)"),
            _ => bail!("its compression is unknown"),
        }
    }
    // Dirty images have wrong reference counts, which reading does not need.
    let unknown = incompatible & !(DIRTY | COMPRESSION_TYPE);
    ensure!(unknown == 0, "it uses unknown incompatible features {unknown:#x}");
    Ok(())
}

fn backing_name(file: &File, offset: u64, bytes: u32) -> Result<String> {
    ensure!(bytes <= MAX_NAME_BYTES, "the name of its backing file is longer than qemu allows");
    let mut name = vec![0; len(u64::from(bytes))];
    file.read_exact_at(&mut name, offset).context("it is truncated in the name of its backing file")?;
    String::from_utf8(name).context("the name of its backing file is not UTF-8")
}

/// By the header's extensions, which follow it: a type, a length, and the data, filled up to 8 bytes.
fn backing_format(header: &[u8], version: u32) -> Result<Format> {
    let mut place = if version == 2 { 72 } else { len(u64::from(u32_at(header, 100))) };
    while let Some(extension) = header.get(place..).filter(|rest| rest.len() >= 8) {
        let bytes = len(u64::from(u32_at(extension, 4)));
        match u32_at(extension, 0) {
            0 => break,
            BACKING_FORMAT => {
                let name = extension.get(8..).and_then(|rest| rest.get(..bytes));
                let name = String::from_utf8_lossy(name.context("it is truncated in its header")?);
                return match name.as_ref() {
                    "qcow2" => Ok(Format::Qcow2),
                    "raw" => Ok(Format::Raw),
                    other => bail!("its backing file is {other}, which is neither qcow2 nor raw"),
                };
            }
            _ => place = place.saturating_add(8).saturating_add(bytes.next_multiple_of(8)),
        }
    }
    Ok(Format::Qcow2)
}
