//! Image files checked against qemu-img, where there is one.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use one_xcp::image::{BLOCK_BYTES, BackingFolders, Format, Image, LastFooter, vhd_to_file};
use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A raw image with data in the first and last sectors, across a block border, and two holes.
fn sample(dir: &Path, size: u64) -> PathBuf {
    let path = dir.join("sample.raw");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(&noise(4096, 1), 0).unwrap();
    file.write_all_at(&noise(300_000, 2), 2 * BLOCK_BYTES - 100_000).unwrap();
    file.write_all_at(&noise(512, 3), size - 512).unwrap();
    path
}

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// `false`, with a note, where there is no qemu-img; panics where it fails.
fn qemu_img(args: &[&str]) -> bool {
    let Ok(output) = Command::new("qemu-img").args(args).output() else {
        println!("skipped: there is no qemu-img");
        return false;
    };
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "qemu-img {args:?}: {said}");
    true
}

/// The virtual size as qemu sees it, if there is a qemu-img.
fn qemu_size(image: &Path, format: &str) -> Option<u64> {
    let output =
        Command::new("qemu-img").args(["info", "--output=json", "-f", format]).arg(image).output().ok()?;
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = said.rsplit_once("\"virtual-size\": ")?;
    rest.split(',').next()?.trim().parse().ok()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn vdi_size(image: &Image) -> u64 {
    image.virtual_size_bytes().next_multiple_of(BLOCK_BYTES)
}

fn to_vhd(path: &Path) -> Vec<u8> {
    let mut image = Image::open(path).unwrap();
    let size = vdi_size(&image);
    let mut stream = Vec::new();
    let written = image.write_vhd(&mut stream, size, LastFooter::AfterBlocks).unwrap();
    assert_eq!(written.bytes, stream.len() as u64);
    stream
}

/// Everything that qemu-img makes of a raw image reads back as that image, in each of our streams.
fn reads_like_its_source(options: &[&str], name: &str, expected: Format) {
    for size in [16 * MIB, 7 * MIB + 512] {
        let dir = TempDir::new().unwrap();
        let (raw, image) = (sample(dir.path(), size), dir.path().join(name));
        if !qemu_img(&[&["convert", "-f", "raw"], options, &[text(&raw), text(&image)]].concat()) {
            return;
        }
        let mut open = Image::open(&image).unwrap();
        assert_eq!((open.format(), open.virtual_size_bytes()), (expected, size), "{options:?}");
        let mut content = Vec::new();
        open.write_raw(&mut content, vdi_size(&open)).unwrap();
        let mut source = fs::read(&raw).unwrap();
        source.resize(content.len(), 0);
        assert!(content == source, "{options:?} of {size} bytes differs");

        let stream = dir.path().join("stream.vhd");
        fs::write(&stream, to_vhd(&image)).unwrap();
        qemu_img(&["compare", "-f", "vpc", "-F", "raw", text(&stream), text(&raw)]);
        let back = dir.path().join("back.raw");
        vhd_to_file(&mut File::open(&stream).unwrap(), &back, Format::Raw, Some(size)).unwrap();
        assert!(fs::read(&back).unwrap() == fs::read(&raw).unwrap(), "{options:?} came back otherwise");
    }
}

#[test]
fn qcow2_of_every_kind() {
    for options in [
        &["-O", "qcow2"][..],
        &["-O", "qcow2", "-c"],
        &["-O", "qcow2", "-o", "compat=0.10"],
        &["-O", "qcow2", "-c", "-o", "compat=0.10,cluster_size=4k"],
        &["-O", "qcow2", "-o", "cluster_size=512"],
        &["-O", "qcow2", "-c", "-o", "cluster_size=2M"],
        &["-O", "qcow2", "-o", "preallocation=metadata"],
        &["-O", "qcow2", "-S", "0"],
        &["-O", "qcow2", "-o", "lazy_refcounts=on"],
    ] {
        reads_like_its_source(options, "image.qcow2", Format::Qcow2);
    }
}

#[test]
fn vhd_of_both_kinds() {
    // force_size: qemu would round the size up to a geometry.
    reads_like_its_source(&["-O", "vpc", "-o", "force_size=on"], "image.vhd", Format::Vhd);
    reads_like_its_source(&["-O", "vpc", "-o", "subformat=fixed,force_size=on"], "image.vhd", Format::Vhd);
}

#[test]
fn raw_of_odd_length_keeps_its_length() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("odd.raw");
    let content = noise(3_000_001, 5);
    fs::write(&raw, &content).unwrap();
    assert_eq!(Image::open(&raw).unwrap().virtual_size_bytes(), 3_000_320);
    let stream = to_vhd(&raw);
    vhd_to_file(&mut Cursor::new(stream), &raw, Format::Raw, Some(3_000_001)).unwrap();
    assert!(fs::read(&raw).unwrap() == content);
}

#[test]
fn what_is_written_back_is_valid_to_qemu() {
    for size in [16 * MIB, 7 * MIB + 512, 1600 * MIB] {
        let dir = TempDir::new().unwrap();
        let raw = sample(dir.path(), size);
        let stream = to_vhd(&raw);
        for (format, qemu_name) in [(Format::Qcow2, "qcow2"), (Format::Vhd, "vpc"), (Format::Raw, "raw")] {
            let back = dir.path().join(format!("back.{format}"));
            vhd_to_file(&mut Cursor::new(&stream), &back, format, Some(size)).unwrap();
            let again = Image::open(&back).unwrap();
            assert_eq!((again.format(), again.virtual_size_bytes()), (format, size));
            assert!(fs::metadata(&back).unwrap().blocks() * 512 < 2 * MIB, "{format} is not sparse");
            if format == Format::Qcow2 {
                qemu_img(&["check", "-f", qemu_name, text(&back)]);
            }
            assert_eq!(qemu_size(&back, qemu_name).unwrap_or(size), size, "{format}");
            qemu_img(&["compare", "-f", qemu_name, "-F", "raw", text(&back), text(&raw)]);
        }
    }
}

#[test]
fn a_backing_file_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let (base, top) = (sample(dir.path(), MIB * 4), dir.path().join("top.qcow2"));
    if qemu_img(&["create", "-f", "qcow2", "-F", "raw", "-b", text(&base), text(&top)]) {
        let error = format!("{:#}", Image::open(&top).err().unwrap());
        let wanted = format!(
            "cannot read image {}: it needs its backing file {}: make it a full image with qemu-img convert",
            text(&top),
            text(&base)
        );
        assert_eq!(error, wanted);
    }
}

#[test]
fn a_chain_of_backing_files_reads_as_qemu_reads_it() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let raw = sample(dir.path(), 7 * MIB + 512);
    // Different clusters and versions, a disk that grew, a base that is raw.
    if !qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", text(&raw), text(&at("1"))]) {
        return;
    }
    let second = at("2");
    let options = ["-o", "compat=0.10,cluster_size=4096", "-F", "qcow2", "-b", "1", text(&second), "9M"];
    qemu_img(&[&["create", "-q", "-f", "qcow2"], &options[..]].concat());
    qemu_img(&["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", text(&at("2")), text(&at("3"))]);
    for (image, offset, write) in
        [("1", MIB, "write -P 7"), ("2", MIB, "write -P 8"), ("3", MIB + 4096, "write -z")]
    {
        let command = format!("{write} {offset} 65536");
        let written = Command::new("qemu-io").args(["-f", "qcow2", "-c", &command]).arg(at(image)).output();
        assert!(written.is_ok_and(|output| output.status.success()), "qemu-io {command}");
    }
    let folders = BackingFolders::new([dir.path()]);
    for image in ["1", "2", "3"] {
        let (flat, ours) = (at("flat"), at("ours.vhd"));
        qemu_img(&["convert", "-f", "qcow2", "-O", "raw", text(&at(image)), text(&flat)]);
        let mut chain = Image::open_chain(&at(image), Format::Qcow2, &folders).unwrap();
        let size = vdi_size(&chain);
        chain.write_vhd(&mut File::create(&ours).unwrap(), size, LastFooter::AfterBlocks).unwrap();
        qemu_img(&["compare", "-f", "vpc", "-F", "raw", text(&ours), text(&flat)]);
        assert!(Image::open_as(&at(image), Format::Qcow2).is_err(), "{image}");
    }
}

#[test]
fn what_we_cannot_read_is_refused_with_its_reason() {
    let dir = TempDir::new().unwrap();
    let image = dir.path().join("image");
    let external = format!("data_file={}", text(&dir.path().join("external.raw")));
    for (options, wanted) in [
        (&["-o", "compression_type=zstd"][..], "compressed by zstd"),
        (&["-o", "extended_l2=on"], "subclusters"),
        (&["-o", &external], "external file"),
        (&["--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s"], "encrypted"),
    ] {
        if !qemu_img(&[&["create", "-q", "-f", "qcow2"], options, &[text(&image), "1M"]].concat()) {
            return;
        }
        let error = format!("{:#}", Image::open(&image).err().unwrap());
        assert!(error.contains(wanted), "{error}");
    }
}
