//! Disk image files as OpenNebula's file datastores hold them, turned into what `xe vdi-import` takes, and
//! what `xe vdi-export format=vhd` prints turned back into such files.
//!
//! Only what is allocated is read and written; memory stays at one block of 2 MiB and the block table
//! (4 MB for a disk of 2 TiB).

mod backing;
mod big_endian;
mod blocks;
mod checksums;
mod detect;
mod file_copy;
mod foreign;
mod qcow2_facts;
mod qcow2_header;
mod qcow2_layout;
mod qcow2_new;
mod qcow2_read;
mod qcow2_stream;
mod qcow2_write;
mod raw;
mod sink;
mod vhd;
mod vhd_file;
mod vhd_header;
mod vhd_read;
mod vhd_stream;
mod vhd_write;
mod write_back;

pub use backing::BackingFolders;
pub use big_endian::is_zero;
pub use checksums::{Checksums, Summing};
pub use detect::{Format, detect};
pub use foreign::{FOREIGN_HEAD_BYTES, foreign};
pub use qcow2_facts::Qcow2Facts;
pub use qcow2_new::{Backing, create_qcow2, grow_qcow2};
pub use qcow2_stream::{Part, vhd_to_qcow2};
pub use vhd::MAX_VHD_BYTES;
pub use vhd_write::{LastFooter, Written};
pub use write_back::vhd_to_file;

use anyhow::{Context, Result, ensure};
use blocks::Blocks;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The unit in which VHDs are made and most storage back-ends of XAPI round VDI sizes, in bytes.
pub const BLOCK_BYTES: u64 = 2 << 20;
const SECTOR_BYTES: u64 = 512;

/// What a disk holds, whatever the file format.
trait Content: Send {
    /// In bytes, a multiple of 512.
    fn virtual_size_bytes(&self) -> u64;
    /// Marks all that may hold something other than zeros.
    fn mark_allocated(&mut self, blocks: &mut Blocks) -> Result<()>;
    /// Fills `into` with the disk's bytes from `offset` on, which lie within the virtual size.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()>;
}

/// An image file or block device, open for reading.
pub struct Image {
    path: PathBuf,
    format: Format,
    content: Box<dyn Content>,
}

impl Image {
    /// Opens the file, or what the link at `path` leads to, and tells its format by its content.
    ///
    /// Refused, each with its reason: what is neither a file nor a block device, an empty or truncated image,
    /// a qcow2 image with a backing file, encryption or a feature unknown to us, a differencing VHD, and a
    /// disk larger than [`MAX_VHD_BYTES`].
    pub fn open(path: &Path) -> Result<Image> {
        Image::open_with(path, detect, &BackingFolders::default())
    }

    /// As [`Image::open`], for when the format is known: a guest can write what looks like a qcow2 header
    /// into its raw disk.
    pub fn open_as(path: &Path, format: Format) -> Result<Image> {
        Image::open_chain(path, format, &BackingFolders::default())
    }

    /// As [`Image::open_as`], of a qcow2 whose backing files may be in these folders.
    pub fn open_chain(path: &Path, format: Format, backing: &BackingFolders) -> Result<Image> {
        Image::open_with(path, |_| Ok(format), backing)
    }

    fn open_with(
        path: &Path,
        format: impl FnOnce(&File) -> Result<Format>,
        backing: &BackingFolders,
    ) -> Result<Image> {
        let open = || {
            // Looked at before it is opened: opening a FIFO would wait for its writer.
            let kind = fs::metadata(path)?.file_type();
            ensure!(!kind.is_dir(), "it is a directory");
            ensure!(kind.is_file() || kind.is_block_device(), "it is neither a file nor a block device");
            let file = File::open(path)?;
            let format = format(&file)?;
            let content: Box<dyn Content> = match format {
                Format::Raw | Format::Iso => Box::new(raw::Raw::open(file)?),
                Format::Vhd => vhd_read::open(file)?,
                Format::Qcow2 => Box::new(qcow2_read::Qcow2::open(file, &backing.chain(path))?),
            };
            let size = content.virtual_size_bytes();
            ensure!(size > 0, "it is empty");
            ensure!(size <= MAX_VHD_BYTES, "its {size} bytes are more than the 2040 GiB a VHD can hold");
            Ok(Image { path: path.to_owned(), format, content })
        };
        open().with_context(|| format!("cannot read image {}", path.display()))
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The size of the disk that a guest sees, in bytes; a multiple of 512.
    pub fn virtual_size_bytes(&self) -> u64 {
        self.content.virtual_size_bytes()
    }

    /// Writes a dynamic VHD of `vdi_size_bytes`, for `xe vdi-import format=vhd`. Blocks without data are left
    /// out, and each allocated byte of the image is read once.
    ///
    /// Fails before the first byte is written if the image does not fit, or if `last_footer` cannot be where
    /// it is wanted ([`Image::vhd_fits_pipe`]).
    pub fn write_vhd(
        &mut self,
        out: &mut impl Write,
        vdi_size_bytes: u64,
        last_footer: LastFooter,
    ) -> Result<Written> {
        vhd_write::write_vhd(self.content.as_mut(), out, vdi_size_bytes, last_footer)
            .with_context(|| format!("cannot stream image {}", self.path.display()))
    }

    /// Writes the disk as it is, filled up with zeros to `vdi_size_bytes`, for `xe vdi-import format=raw`.
    ///
    /// The only way into an SR that does not hand out zeroed disks (LVM without `use_vhd`, raw VDIs on LVM):
    /// vhd-tool takes no VHD there (xapi v25.6.0 `sm_fs_ops.ml`, `must_write_zeroes_into_new_vdi`).
    pub fn write_raw(&mut self, out: &mut impl Write, vdi_size_bytes: u64) -> Result<Written> {
        vhd_write::write_raw(self.content.as_mut(), out, vdi_size_bytes)
            .with_context(|| format!("cannot stream image {}", self.path.display()))
    }

    /// Whether [`Image::write_vhd`] can end at the size of the VDI ([`LastFooter::AtVdiSize`]). A nearly full
    /// disk cannot: as a VHD it is larger than the VDI, and is better sent raw.
    pub fn vhd_fits_pipe(&mut self, vdi_size_bytes: u64) -> Result<bool> {
        vhd_write::fits_pipe(self.content.as_mut(), vdi_size_bytes)
            .with_context(|| format!("cannot read image {}", self.path.display()))
    }
}
