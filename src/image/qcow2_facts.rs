//! What the header of a qcow2 file says, also of one whose content needs other files (qemu docs/interop/qcow2.txt).

use super::big_endian::{len, u32_at, u64_at};
use super::detect::QCOW2_MAGIC;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A header has at least so many bytes in version 3; the rest is read as zeros.
const HEADER_BYTES: usize = 112;
/// The longest name of a backing file.
const MAX_NAME: u32 = 1023;

pub struct Qcow2Facts {
    pub version: u32,
    pub cluster_bits: u32,
    /// In bytes, as a guest sees it.
    pub virtual_size_bytes: u64,
    pub l1_entries: u32,
    pub l1_offset: u64,
    /// Snapshots within the file.
    pub snapshots: u32,
    pub incompatible_features: u64,
    pub autoclear_features: u64,
    pub backing_file: Option<String>,
}

impl Qcow2Facts {
    /// None if the file has no qcow2 header.
    pub fn read(file: &File) -> Result<Option<Qcow2Facts>> {
        let mut bytes = vec![0; HEADER_BYTES];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64).context("cannot read its header")? {
                0 => break,
                count => filled += count,
            }
        }
        if !bytes.starts_with(QCOW2_MAGIC) {
            return Ok(None);
        }
        let version = u32_at(&bytes, 4);
        ensure!(matches!(version, 2 | 3), "qcow2 version {version} is not supported");
        let (name_at, name_bytes) = (u64_at(&bytes, 8), u32_at(&bytes, 16));
        let backing_file = if name_at == 0 {
            None
        } else {
            ensure!(name_bytes <= MAX_NAME, "the name of its backing file is too long");
            let mut name = vec![0; len(name_bytes.into())];
            file.read_exact_at(&mut name, name_at).context("cannot read the name of its backing file")?;
            Some(String::from_utf8_lossy(&name).into_owned())
        };
        let features = |at| if version == 2 { 0 } else { u64_at(&bytes, at) };
        Ok(Some(Qcow2Facts {
            version,
            cluster_bits: u32_at(&bytes, 20),
            virtual_size_bytes: u64_at(&bytes, 24),
            l1_entries: u32_at(&bytes, 36),
            l1_offset: u64_at(&bytes, 40),
            snapshots: u32_at(&bytes, 60),
            incompatible_features: features(72),
            autoclear_features: features(88),
            backing_file,
        }))
    }
}
