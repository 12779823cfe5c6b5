//! Telling a file's format by its content.

use super::raw;
use super::vhd::{COOKIE, FOOTER_BYTES};
use anyhow::{Error, Result, bail};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::str::FromStr;

/// What OpenNebula calls an image's FORMAT (`raw`, `vhd`, `qcow2`), and ISO 9660, which it treats as raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Raw,
    /// Read as fixed or dynamic, written as dynamic.
    Vhd,
    Qcow2,
    Iso,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Format::Raw => "raw",
            Format::Vhd => "vhd",
            Format::Qcow2 => "qcow2",
            Format::Iso => "iso",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Takes the names of OpenNebula and those of qemu (`vpc` is VHD), in any case.
    fn from_str(name: &str) -> Result<Format> {
        match name.to_ascii_lowercase().as_str() {
            "raw" => Ok(Format::Raw),
            "vhd" | "vpc" => Ok(Format::Vhd),
            "qcow2" => Ok(Format::Qcow2),
            "iso" => Ok(Format::Iso),
            _ => bail!("image format {name:?} is none of raw, vhd, qcow2, iso"),
        }
    }
}

pub const QCOW2_MAGIC: &[u8] = b"QFI\xfb";
const ISO_DESCRIPTOR_OFFSET: u64 = 32769;

/// Tells the format by magic numbers; what has none is raw.
///
/// A disk image can hold an ISO 9660 descriptor and a partition table at once (hybrid images); it is `Iso`
/// here, which is read as raw is.
pub fn detect(file: &File) -> Result<Format> {
    let size = raw::size_bytes(file)?;
    let is_at = |offset: u64, magic: &[u8]| -> Result<bool> {
        let mut found = [0; 8];
        let Some(found) = found.get_mut(..magic.len()) else { return Ok(false) };
        if size < offset + magic.len() as u64 {
            return Ok(false);
        }
        file.read_exact_at(found, offset)?;
        Ok(found == magic)
    };
    if is_at(0, QCOW2_MAGIC)? {
        return Ok(Format::Qcow2);
    }
    // A fixed VHD has its footer at the end only; a truncated dynamic one only its copy at the start.
    if is_at(0, COOKIE)? || is_at(size.saturating_sub(FOOTER_BYTES), COOKIE)? {
        return Ok(Format::Vhd);
    }
    Ok(if is_at(ISO_DESCRIPTOR_OFFSET, b"CD001")? { Format::Iso } else { Format::Raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for format in [Format::Raw, Format::Vhd, Format::Qcow2, Format::Iso] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert_eq!("QCOW2".parse::<Format>().unwrap(), Format::Qcow2);
        let error = "vmdk".parse::<Format>().unwrap_err().to_string();
        assert_eq!(error, r#"image format "vmdk" is none of raw, vhd, qcow2, iso"#);
    }

    #[test]
    fn content_decides() {
        let detected = |fill: &dyn Fn(&File)| {
            let file = tempfile::tempfile().unwrap();
            fill(&file);
            detect(&file).unwrap()
        };
        assert_eq!(detected(&|_| ()), Format::Raw);
        assert_eq!(detected(&|file| file.write_all_at(b"QF", 0).unwrap()), Format::Raw);
        assert_eq!(detected(&|file| file.write_all_at(b"QFI\xfb", 0).unwrap()), Format::Qcow2);
        assert_eq!(detected(&|file| file.write_all_at(b"CD001", 32769).unwrap()), Format::Iso);
        assert_eq!(detected(&|file| file.write_all_at(b"conectix", 0).unwrap()), Format::Vhd);
        let fixed = |file: &File| {
            file.set_len(8192 + 512).unwrap();
            file.write_all_at(b"conectix", 8192).unwrap();
        };
        assert_eq!(detected(&fixed), Format::Vhd);
    }
}
