//! One test, alone in its process: the peak of memory is the process's.

#![allow(clippy::unwrap_used)]

use one_xcp::image::{Format, Image, LastFooter, MAX_VHD_BYTES, vhd_to_file};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use tempfile::TempDir;

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_largest_disk_needs_little_memory() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("raw");
    let file = File::create(&raw).unwrap();
    file.set_len(MAX_VHD_BYTES).unwrap();
    for place in 0..64 {
        file.write_all_at(b"data", place * (MAX_VHD_BYTES / 64)).unwrap();
    }
    let (vhd, mut image) = (dir.path().join("stream"), raw);
    let before = peak_kib();
    for format in [Format::Qcow2, Format::Vhd, Format::Raw] {
        let mut out = File::create(&vhd).unwrap();
        let mut open = Image::open(&image).unwrap();
        assert_eq!(open.virtual_size_bytes(), MAX_VHD_BYTES);
        let written = open.write_vhd(&mut out, MAX_VHD_BYTES, LastFooter::AfterBlocks).unwrap();
        assert_eq!(written.blocks, 64);
        image = dir.path().join(format.to_string());
        vhd_to_file(&mut File::open(&vhd).unwrap(), &image, format, None).unwrap();
    }
    let grown = peak_kib() - before;
    assert!(grown < 32 << 10, "{grown} KiB more");
}
