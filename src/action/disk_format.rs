//! The format of a disk's file is what OpenNebula says (DISK/FORMAT, DRIVER), never what the file looks like: a guest may
//! write a qcow2 header or a VHD footer into its raw disk.

use crate::image::{BackingFolders, FOREIGN_HEAD_BYTES, Format, Image, detect, foreign};
use crate::one::Disk;
use crate::one::disk::Medium;
use crate::report::{self, Result};
use anyhow::{Context, bail, ensure};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

const MB: u64 = 1 << 20;

/// Opens a disk's file in the format that OpenNebula says.
///
/// Releases before 6.0 may say none. Then the content decides, if OpenNebula has just made the file (`is_new`) of an
/// image that is not persistent; any other file must be raw, as a guest may have written to it.
///
/// # Errors
///
/// The format is not one of ours, or the file is not of that format.
pub fn open(disk: &Disk, file: &Path, is_new: bool) -> Result<Image> {
    if let Some(format) = said(disk)? {
        return open_as(disk, file, format);
    }
    let image = Image::open(file)?;
    if is_raw(image.format()) {
        // What a guest may have written is raw, whatever it looks like.
        let name = foreign_name(file).filter(|_| is_new && disk.image_id.is_some());
        ensure!(name.is_none(), "{}", not_ours(&file.display().to_string(), name.unwrap_or_default()));
        return Ok(image);
    }
    let found = image.format();
    ensure!(
        is_new && disk.image_id.is_some() && !disk.is_persistent,
        "{} looks like {found}, which its guest may have written: set DRIVER of the image to raw or {found}",
        file.display()
    );
    let size_mb = image.virtual_size_bytes().div_ceil(MB);
    ensure!(
        disk.size_mb == 0 || size_mb <= disk.size_mb,
        "{} looks like {found} of {size_mb} MB, and the disk's SIZE is {}: set DRIVER of the image to raw or {found}",
        file.display(),
        disk.size_mb
    );
    Ok(image)
}

/// The format in which a disk goes back to its file. Raw for a format that is not ours: only earlier versions deployed
/// such disks, and gave the guest the file's bytes.
pub fn to_write(disk: &Disk) -> Format {
    said(disk).ok().flatten().unwrap_or(Format::Raw)
}

/// What the file is to hold again, in bytes; of a raw one every byte counts, also past its last whole sector. None:
/// all that the VDI holds.
pub fn size_to_write(disk: &Disk, format: Format, file: &Path) -> Result<Option<u64>> {
    let said = (disk.size_mb > 0).then_some(disk.size_mb * MB);
    if !file.exists() {
        return Ok(said);
    }
    if !is_raw(format) {
        // What is there now is replaced, whatever it is.
        let image = Image::open_chain(file, format, &backing(disk, file));
        return Ok(image.map_or(said, |image| Some(image.virtual_size_bytes())));
    }
    let length = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    // Earlier versions told the format by the content, and may have filled the VDI from a qcow2 or VHD that OpenNebula
    // calls raw: such a file is shorter than its disk.
    let is_shorter = said.filter(|said| length < *said);
    Ok(Some(is_shorter.filter(|_| found(file).is_some_and(|found| !is_raw(found))).unwrap_or(length)))
}

/// Where the backing files of a disk's qcow2 may be. OpenNebula's drivers `shared` and `qcow2` make `disk.N.snap/0` with
/// the image as backing file, and one file more for each disk snapshot; those of the image lie in its datastore.
pub fn backing(disk: &Disk, file: &Path) -> BackingFolders {
    let Some(vm_folder) = file.parent() else { return BackingFolders::default() };
    let snapshots = vm_folder.join(format!("disk.{}.snap", disk.disk_id));
    let datastores = |folder: &Path| fs::canonicalize(folder.parent()?).ok();
    let datastore = Path::new(&disk.source).parent().filter(|folder| {
        let stores = datastores(folder);
        stores.is_some() && stores == vm_folder.parent().and_then(datastores)
    });
    BackingFolders::new([Some(snapshots.as_path()), datastore].into_iter().flatten())
}

/// OpenNebula's word; none if it says nothing.
fn said(disk: &Disk) -> Result<Option<Format>> {
    let name = disk.format.to_ascii_lowercase();
    // `tap2:tapdisk:aio:` and the like, of OpenNebula's Xen drivers (up to 5.4): how Xen opens a raw file.
    let driver = name.strip_suffix(':').map(|name| name.rsplit(':').next().unwrap_or(name));
    match (driver, name.as_str()) {
        (Some("aio" | "file" | "raw" | "phy"), _) => Ok(Some(Format::Raw)),
        (_, "") if disk.medium == Medium::CdRom || disk.is_swap => Ok(Some(Format::Raw)),
        (_, "") => Ok(None),
        (_, name) => match name.parse() {
            Ok(format) => Ok(Some(format)),
            Err(_) => bail!(not_ours("the disk's FORMAT", &format!("{name:?}"))),
        },
    }
}

fn not_ours(what: &str, name: &str) -> String {
    format!(
        "{what} is {name}, which is none of raw, qcow2, vhd: convert its image with qemu-img convert -O qcow2, and \
         register it anew"
    )
}

fn open_as(disk: &Disk, file: &Path, format: Format) -> Result<Image> {
    let found = found(file);
    let image = Image::open_chain(file, format, &backing(disk, file));
    if let Some(name) = foreign_name(file).filter(|_| image.is_err()) {
        return image.with_context(|| not_ours(&file.display().to_string(), name));
    }
    match found {
        Some(found) if image.is_err() && !is_raw(format) && found != format => image.with_context(|| {
            format!(
                "the disk's FORMAT is {format}, and {} is {found}: convert it with qemu-img convert -O {}, or \
                 register the image anew with FORMAT={found}",
                file.display(),
                qemu_name(format)
            )
        }),
        Some(found) if is_raw(format) && !is_raw(found) => {
            report::warn(format!(
                "disk {} is raw for OpenNebula (FORMAT), and its file looks like {found}: the guest gets it as it is",
                disk.disk_id
            ));
            image
        }
        _ => image,
    }
}

/// Which format that is not ours the file looks like.
fn foreign_name(file: &Path) -> Option<&'static str> {
    fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let mut head = Vec::new();
    File::open(file).ok()?.take(FOREIGN_HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    foreign(&head)
}

/// What the file looks like; for words only.
fn found(file: &Path) -> Option<Format> {
    // Opening a FIFO would wait for its writer.
    fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    detect(&File::open(file).ok()?).ok()
}

fn is_raw(format: Format) -> bool {
    matches!(format, Format::Raw | Format::Iso)
}

fn qemu_name(format: Format) -> &'static str {
    match format {
        Format::Vhd => "vpc",
        Format::Qcow2 => "qcow2",
        Format::Raw | Format::Iso => "raw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one::Element;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn disk(attributes: &str) -> Disk {
        let text = format!("<DISK><DISK_ID>0</DISK_ID><IMAGE_ID>3</IMAGE_ID>{attributes}</DISK>");
        Disk::read(&Element::parse("the disk", &text).unwrap()).unwrap()
    }

    fn file(head: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("disk.0");
        let mut bytes = head.to_vec();
        bytes.resize(1 << 20, 0);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn footer_at_the_end() -> (TempDir, PathBuf) {
        let (folder, path) = file(b"");
        let mut bytes = fs::read(&path).unwrap();
        let start = bytes.len() - 512;
        bytes[start..][..8].copy_from_slice(b"conectix");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn refused(attributes: &str, file: &Path, is_new: bool) -> String {
        format!("{:#}", open(&disk(attributes), file, is_new).err().unwrap())
    }

    #[test]
    fn raw_stays_raw_whatever_is_in_it() {
        let qcow2 = file(b"QFI\xfb\0\0\0\x03");
        let vhd = footer_at_the_end();
        for (_folder, path) in [&qcow2, &vhd] {
            for word in ["<FORMAT>raw</FORMAT>", "<DRIVER>RAW</DRIVER>", "<DRIVER>tap2:tapdisk:aio:</DRIVER>"]
            {
                let image = open(&disk(word), path, false).unwrap();
                assert_eq!((image.format(), image.virtual_size_bytes()), (Format::Raw, 1 << 20));
            }
            assert_eq!(open(&disk("<TYPE>CDROM</TYPE>"), path, false).unwrap().format(), Format::Raw);
        }
    }

    #[test]
    fn format_counts_before_driver_and_unknown_ones_are_named() {
        let (_folder, path) = file(b"");
        assert_eq!(to_write(&disk("<FORMAT>vpc</FORMAT><DRIVER>raw</DRIVER>")), Format::Vhd);
        assert_eq!(to_write(&disk("<DRIVER>qcow2</DRIVER>")), Format::Qcow2);
        assert_eq!(to_write(&disk("")), Format::Raw);
        assert_eq!(to_write(&disk("<FORMAT>vmdk</FORMAT>")), Format::Raw);
        for word in ["vmdk", "vhdx", "qed", "vdi", "luks"] {
            let text = refused(&format!("<FORMAT>{word}</FORMAT>"), &path, true);
            assert!(text.contains(&format!("FORMAT is {word:?}")), "{text}");
        }
    }

    #[test]
    fn a_file_of_another_format_than_told_is_named() {
        let (_folder, path) = file(b"");
        let text = refused("<FORMAT>qcow2</FORMAT>", &path, true);
        assert!(text.contains("FORMAT is qcow2, and ") && text.contains("disk.0 is raw"), "{text}");
    }

    #[test]
    fn where_nobody_tells_only_what_no_guest_has_written_decides() {
        let (_folder, path) = file(b"");
        assert_eq!(open(&disk(""), &path, false).unwrap().format(), Format::Raw);
        let (_folder, path) = footer_at_the_end();
        fs::write(&path, fixed_vhd()).unwrap();
        assert_eq!(open(&disk(""), &path, true).unwrap().format(), Format::Vhd);
        assert!(refused("", &path, false).contains("its guest may have written"));
        assert!(refused("<SAVE>YES</SAVE>", &path, true).contains("its guest may have written"));
        assert!(refused("<SIZE>1</SIZE>", &path, true).contains("of 4 MB, and the disk's SIZE is 1"));
    }

    #[test]
    fn a_format_that_is_not_ours_is_refused_by_name_unless_a_guest_may_have_written_it() {
        let (_folder, path) = file(b"vhdxfile");
        assert!(refused("", &path, true).contains("disk.0 is vhdx, which is none of raw, qcow2, vhd"));
        assert!(refused("<FORMAT>qcow2</FORMAT>", &path, true).contains("disk.0 is vhdx"));
        assert_eq!(open(&disk(""), &path, false).unwrap().format(), Format::Raw);
        assert_eq!(open(&disk("<FORMAT>raw</FORMAT>"), &path, true).unwrap().format(), Format::Raw);
    }

    /// Of 4 MiB.
    fn fixed_vhd() -> Vec<u8> {
        let mut footer = vec![0; 512];
        footer[..8].copy_from_slice(b"conectix");
        footer[12..16].copy_from_slice(&0x0001_0000u32.to_be_bytes());
        footer[16..24].fill(0xff);
        footer[40..48].copy_from_slice(&(4u64 << 20).to_be_bytes());
        footer[48..56].copy_from_slice(&(4u64 << 20).to_be_bytes());
        footer[60..64].copy_from_slice(&2u32.to_be_bytes());
        let sum = !footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        footer[64..68].copy_from_slice(&sum.to_be_bytes());
        [vec![0; 4 << 20], footer].concat()
    }

    #[test]
    fn a_raw_file_keeps_its_length_unless_it_is_a_container_of_an_earlier_version() {
        let (_folder, path) = file(b"");
        let size =
            |attributes: &str, path: &Path| size_to_write(&disk(attributes), Format::Raw, path).unwrap();
        assert_eq!(size("<SIZE>5</SIZE>", &path), Some(1 << 20));
        assert_eq!(size("<SIZE>5</SIZE>", Path::new("/nowhere/disk.0")), Some(5 << 20));
        let (_folder, path) = file(b"QFI\xfb");
        assert_eq!(size("<SIZE>5</SIZE>", &path), Some(5 << 20));
        assert_eq!(size("<SIZE>1</SIZE>", &path), Some(1 << 20));
    }
}
