//! qcow2 files made of a VHD stream, whole or in part: qemu-img must find nothing wrong with them, and put together
//! as OpenNebula's backup datastores do they must be the disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use one_xcp::image::{Image, LastFooter, Part, vhd_to_qcow2};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const UNIT: u64 = 64 << 10;

/// `false`, with a note, where there is no qemu-img; panics where it fails.
fn qemu_img(args: &[&str]) -> bool {
    let Ok(output) = Command::new("qemu-img").args(args).output() else {
        println!("skipped: there is no qemu-img");
        return false;
    };
    assert!(output.status.success(), "qemu-img {args:?}: {output:?}");
    true
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Disk {
    dir: TempDir,
    raw: PathBuf,
    size: u64,
}

impl Disk {
    fn new(size: u64) -> Disk {
        let dir = TempDir::new().unwrap();
        let raw = dir.path().join("disk.raw");
        File::create(&raw).unwrap().set_len(size).unwrap();
        Disk { dir, raw, size }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        File::options().write(true).open(&self.raw).unwrap().write_all_at(bytes, at).unwrap();
    }

    /// What is zeros has no room any more.
    fn trim(&self) {
        let trimmed = self.dir.path().join("trimmed");
        let mut copy = Command::new("cp");
        assert!(copy.arg("--sparse=always").args([&self.raw, &trimmed]).status().unwrap().success());
        fs::rename(trimmed, &self.raw).unwrap();
    }

    /// A part of what the disk holds now, as a file of this name.
    fn backup(&self, name: &str, part: Part<'_>) -> PathBuf {
        let mut vhd = Vec::new();
        Image::open(&self.raw).unwrap().write_vhd(&mut vhd, self.size, LastFooter::AfterBlocks).unwrap();
        let path = self.dir.path().join(name);
        vhd_to_qcow2(&mut vhd.as_slice(), &mut File::create(&path).unwrap(), part).unwrap();
        qemu_img(&["check", text(&path)]);
        path
    }

    /// The last of a chain holds what the disk holds.
    #[track_caller]
    fn is_held_by(&self, chain: &[&PathBuf]) {
        for (backing, image) in chain.iter().zip(chain.iter().skip(1)) {
            if !qemu_img(&["rebase", "-u", "-F", "qcow2", "-b", text(backing), text(image)]) {
                return;
            }
        }
        let merged = self.dir.path().join("merged");
        let last = chain.last().unwrap();
        if qemu_img(&["convert", "-f", "qcow2", "-O", "raw", text(last), text(&merged)]) {
            assert!(fs::read(&merged).unwrap() == fs::read(&self.raw).unwrap());
        }
    }
}

fn bits(size: u64, set: &[u64]) -> Vec<u8> {
    let mut bits = vec![0; usize::try_from(size.div_ceil(UNIT * 8)).unwrap()];
    for bit in set {
        bits[usize::try_from(bit / 8).unwrap()] |= 0x80 >> (bit % 8);
    }
    bits
}

#[test]
fn a_whole_disk_is_one_file() {
    // Neither a multiple of a VHD's block nor of a cluster.
    let disk = Disk::new(9 * MIB + 512);
    disk.write(0, b"boot");
    disk.write(5 * MIB - 2, b"over a border");
    disk.write(9 * MIB + 508, b"last");
    disk.is_held_by(&[&disk.backup("0", Part::Whole)]);
}

#[test]
fn an_increment_holds_what_was_changed_and_nothing_else() {
    let disk = Disk::new(20 * MIB);
    disk.write(0, &vec![1; 3 << 20]);
    disk.write(18 * MIB, &vec![2; 1 << 20]);
    let full = disk.backup("0", Part::Whole);
    disk.write(5 * UNIT + 7, b"changed");
    disk.write(8 * MIB, b"new");
    // All of a block of the VHD has become zeros: it is not in it any more.
    disk.write(18 * MIB, &vec![0; 1 << 20]);
    disk.trim();
    let zeroed = (18 * 16)..(19 * 16);
    let changed: Vec<u64> = [5, 8 * 16].into_iter().chain(zeroed).collect();
    let first = disk.backup("1", Part::Changed(&bits(disk.size, &changed)));
    assert!(fs::metadata(&first).unwrap().len() <= 7 * UNIT, "{:?}", fs::metadata(&first));
    disk.is_held_by(&[&full, &first]);
    disk.write(5 * UNIT, &vec![0; 64 << 10]);
    let second = disk.backup("2", Part::Changed(&bits(disk.size, &[5])));
    disk.is_held_by(&[&full, &first, &second]);
    // Without any change there is nothing to hold.
    let third = disk.backup("3", Part::Changed(&[]));
    disk.is_held_by(&[&full, &first, &second, &third]);
}

#[test]
fn a_whole_disk_hides_what_was_before_it() {
    let disk = Disk::new(6 * MIB);
    disk.write(0, &vec![1; 6 << 20]);
    let full = disk.backup("0", Part::Whole);
    File::create(&disk.raw).unwrap().set_len(disk.size).unwrap();
    disk.write(4 * MIB, b"only this");
    let over = disk.backup("1", Part::Over);
    disk.is_held_by(&[&full, &over]);
}

#[test]
fn a_large_disk_has_several_tables() {
    let disk = Disk::new(3 << 30);
    disk.write(0, b"boot");
    disk.write((2 << 30) - 4, b"over a table's border");
    let full = disk.backup("0", Part::Whole);
    disk.write((1 << 30) + 5, b"changed");
    let first = disk.backup("1", Part::Changed(&bits(disk.size, &[1 << 14])));
    if !qemu_img(&["rebase", "-u", "-F", "qcow2", "-b", text(&full), text(&first)]) {
        return;
    }
    qemu_img(&["compare", "-f", "raw", "-F", "qcow2", text(&disk.raw), text(&first)]);
}

#[test]
fn a_stream_that_ends_early_makes_no_file() {
    let disk = Disk::new(6 * MIB);
    disk.write(0, &vec![1; 6 << 20]);
    let mut vhd = Vec::new();
    Image::open(&disk.raw).unwrap().write_vhd(&mut vhd, disk.size, LastFooter::AfterBlocks).unwrap();
    vhd.truncate(4 << 20);
    let error = vhd_to_qcow2(&mut vhd.as_slice(), &mut Vec::new(), Part::Whole).unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error:#}");
}
