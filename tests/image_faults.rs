//! What goes wrong with images: each an error that names the file, none leaves anything behind.

#![allow(clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used)]

use one_xcp::image::{Format, Image, LastFooter, vhd_to_file};
use std::fs::{self, File, Permissions};
use std::io::{Cursor, Write, sink};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A VHD stream of a disk of 6 MiB with 2 of its 3 blocks allocated.
fn vhd() -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("raw");
    let file = File::create(&raw).unwrap();
    file.set_len(6 * MIB).unwrap();
    file.write_all_at(b"one", 0).unwrap();
    file.write_all_at(b"two", 5 * MIB).unwrap();
    let mut out = Vec::new();
    Image::open(&raw).unwrap().write_vhd(&mut out, 6 * MIB, LastFooter::AfterBlocks).unwrap();
    out
}

fn image_of(format: Format, dir: &Path) -> PathBuf {
    let path = dir.join(format.to_string());
    vhd_to_file(&mut Cursor::new(vhd()), &path, format, None).unwrap();
    path
}

fn open_error(path: &Path) -> String {
    let error = format!("{:#}", Image::open(path).err().unwrap());
    error.strip_prefix(&format!("cannot read image {}: ", path.display())).unwrap().to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_no_image_is_told() {
    let dir = TempDir::new().unwrap();
    assert_eq!(open_error(&dir.path().join("gone")), "No such file or directory (os error 2)");
    assert_eq!(open_error(dir.path()), "it is a directory");
    assert_eq!(open_error(Path::new("/dev/null")), "it is neither a file nor a block device");
    let empty = dir.path().join("empty");
    File::create(&empty).unwrap();
    assert_eq!(open_error(&empty), "it is empty");
    File::create(&empty).unwrap().set_len((2040 << 30) + 512).unwrap();
    assert_eq!(open_error(&empty), "its 2190433321472 bytes are more than the 2040 GiB a VHD can hold");
    let link = dir.path().join("link");
    symlink(image_of(Format::Qcow2, dir.path()), &link).unwrap();
    assert_eq!(Image::open(&link).unwrap().format(), Format::Qcow2);
    assert_eq!(Image::open_as(&link, Format::Raw).unwrap().format(), Format::Raw);
}

#[test]
fn a_vdi_smaller_than_its_image_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut image = Image::open(&image_of(Format::Raw, dir.path())).unwrap();
    let error = image.write_vhd(&mut sink(), 4 * MIB, LastFooter::AfterBlocks).unwrap_err();
    assert!(format!("{error:#}").ends_with("its 6291456 bytes do not fit a VDI of 4194304"), "{error:#}");
}

#[test]
fn a_differencing_vhd_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("child.vhd");
    let mut bytes = vhd();
    let footer = bytes.len() - 512;
    // Disk type 4, and the checksum one less.
    bytes[footer + 63] = 4;
    let sum = u32::from_be_bytes(bytes[footer + 64..footer + 68].try_into().unwrap());
    bytes[footer + 64..footer + 68].copy_from_slice(&(sum - 1).to_be_bytes());
    fs::write(&path, bytes).unwrap();
    assert_eq!(open_error(&path), "it is a differencing VHD, of no use without its parent");
}

#[test]
fn truncated_images_are_errors() {
    let dir = TempDir::new().unwrap();
    for format in [Format::Vhd, Format::Qcow2] {
        let whole = fs::read(image_of(format, dir.path())).unwrap();
        let cut = dir.path().join("cut");
        for bytes in [8, 100, 512, 1000, 2048, 3000, 70_000, 140_000, whole.len() / 2] {
            fs::write(&cut, &whole[..bytes]).unwrap();
            let streamed = Image::open(&cut)
                .and_then(|mut image| image.write_vhd(&mut sink(), 6 * MIB, LastFooter::AfterBlocks));
            let error = format!("{:#}", streamed.expect_err(&format!("{format} of {bytes} bytes")));
            assert!(error.contains(cut.to_str().unwrap()), "{error}");
        }
    }
}

/// Takes what is written, but not for ever.
struct Limited(u64);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn damaged_images_never_panic() {
    let dir = TempDir::new().unwrap();
    for format in [Format::Vhd, Format::Qcow2] {
        let path = image_of(format, dir.path());
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        let tables =
            [65536, 65544, 131_072, 131_079, 196_608 + 512, 2048, 2051, size - 512 + 50, size - 512 + 63];
        for place in (0..160).chain(512..600).chain(tables) {
            for value in [0x00, 0x01, 0x7f, 0xff] {
                let mut old = [0];
                file.read_exact_at(&mut old, place).unwrap();
                file.write_all_at(&[value], place).unwrap();
                if let Ok(mut image) = Image::open(&path) {
                    let vdi_size = image.virtual_size_bytes();
                    _ = image.write_vhd(&mut Limited(16 * MIB), vdi_size, LastFooter::AfterBlocks);
                }
                file.write_all_at(&old, place).unwrap();
            }
        }
    }
}

#[test]
fn a_bad_stream_leaves_the_old_image() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("disk.0");
    fs::write(&target, "old").unwrap();
    let whole = vhd();
    let fails = |stream: &[u8], format, wanted: &str| {
        let error = format!("{:#}", vhd_to_file(&mut &*stream, &target, format, None).unwrap_err());
        assert!(error.starts_with(&format!("cannot write image {}: ", target.display())), "{error}");
        assert!(error.contains(wanted), "{error}");
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["disk.0"]);
    };
    for bytes in [0, 100, 512, 1535, 1800, 2049, 2560, 3000, 3 << 20, whole.len() - 512, whole.len() - 1] {
        for format in [Format::Raw, Format::Qcow2, Format::Vhd] {
            fails(&whole[..bytes], format, "truncated");
        }
    }
    fails(
        b"xe: something went wrong, and this is what it says of it.".repeat(20).as_slice(),
        Format::Raw,
        "no VHD footer",
    );
    for place in [20, 70, 520, 530, 600] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x40;
        fails(&damaged, Format::Raw, "checksum");
    }
    let mut overlapping = whole.clone();
    overlapping[2048..2052].copy_from_slice(&[0, 0, 0, 1]);
    fails(&overlapping, Format::Raw, "overlaps");
}

#[test]
fn what_a_killed_writer_has_left_goes_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    for name in [".disk.0.aB3xY9", ".disk.1.aB3xY9", ".disk.0.new", "disk.0.aB3xY9", ".disk.0.other-file"] {
        fs::write(dir.path().join(name), b"half").unwrap();
    }
    vhd_to_file(&mut Cursor::new(vhd()), &dir.path().join("disk.0"), Format::Raw, None).unwrap();
    let left = [".disk.0.new", ".disk.0.other-file", ".disk.1.aB3xY9", "disk.0", "disk.0.aB3xY9"];
    assert_eq!(names(dir.path()), left);
}

#[test]
fn an_image_that_was_made_larger_than_its_vdi_stays_so() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("disk.0");
    let source = dir.path().join("source");
    fs::write(&source, vec![7; usize::try_from(6 * MIB).unwrap()]).unwrap();
    let mut stream = Vec::new();
    Image::open(&source).unwrap().write_vhd(&mut stream, 6 * MIB, LastFooter::AfterBlocks).unwrap();
    for format in [Format::Raw, Format::Qcow2, Format::Vhd] {
        vhd_to_file(&mut &*stream, &target, format, Some(7 * MIB)).unwrap();
        let image = Image::open(&target).unwrap();
        assert_eq!((image.format(), image.virtual_size_bytes()), (format, 7 * MIB));
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn owner_mode_and_link_stay() {
    let dir = TempDir::new().unwrap();
    let (real, link) = (dir.path().join("image"), dir.path().join("disk.0"));
    fs::write(&real, "old").unwrap();
    symlink("image", &link).unwrap();
    let root = fs::metadata(&real).unwrap().uid() == 0;
    if root {
        chown(&real, Some(9869), Some(9870)).unwrap();
    }
    fs::set_permissions(&real, Permissions::from_mode(0o604)).unwrap();
    let before = fs::metadata(&real).unwrap();
    vhd_to_file(&mut Cursor::new(vhd()), &link, Format::Raw, None).unwrap();
    let after = fs::metadata(&real).unwrap();
    assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
    assert_eq!(after.len(), 6 * MIB);
    assert!(link.is_symlink());
    assert_eq!(names(dir.path()), ["disk.0", "image"]);
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let dir = TempDir::new().unwrap();
    let error = |path: &Path| {
        let error = vhd_to_file(&mut Cursor::new(vhd()), path, Format::Raw, None).unwrap_err();
        format!("{error:#}").replace(dir.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(error(dir.path()), "cannot write image DIR: it is not a file");
    let missing = dir.path().join("missing").join("disk.0");
    assert_eq!(
        error(&missing),
        "cannot write image DIR/missing/disk.0: No such file or directory (os error 2)"
    );
    let link = dir.path().join("link");
    symlink("gone", &link).unwrap();
    assert_eq!(error(&link), "cannot write image DIR/link: it is a link to nowhere");
    assert_eq!(names(dir.path()), ["link"]);
}
