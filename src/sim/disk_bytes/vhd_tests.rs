use super::*;
use crate::sim::disk_bytes::{export_raw, import_raw, import_vhd};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const LEN: usize = 5 * BLOCK_LEN + 1536;
const SIZE: u64 = LEN as u64;
const BLOCK_LEN: usize = 2 << 20;
const UUID: &str = "d0000000-0000-4000-8000-0000000000a1";

/// A disk with something at its beginning, in its fourth block and in its last sector.
fn content() -> Vec<u8> {
    let mut content = vec![0; LEN];
    content[..3000].fill(0x41);
    content[7_000_000..7_100_000].fill(0x42);
    content[LEN - 1] = 0x43;
    content
}

fn vdi() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vdi");
    import_raw(&mut content().as_slice(), &path, SIZE).unwrap();
    (dir, path)
}

fn exported() -> Vec<u8> {
    let (_dir, path) = vdi();
    let mut out = Vec::new();
    export_vhd(&path, SIZE, UUID, &mut out).unwrap();
    out
}

fn fixed() -> Vec<u8> {
    let footer = Footer { kind: Kind::Fixed, current_size: SIZE, data_offset: u64::MAX, uuid: [1; 16] };
    [content(), footer.to_bytes()].concat()
}

fn import(vhd: &[u8], virtual_size: u64) -> io::Result<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("vdi");
    import_vhd(&mut &*vhd, &path, virtual_size)?;
    let mut out = Vec::new();
    export_raw(&path, &mut out)?;
    Ok(out)
}

fn fault(vhd: &[u8]) -> String {
    import(vhd, SIZE).unwrap_err().to_string()
}

#[test]
fn a_dynamic_vhd_brings_the_disk_back_and_holds_only_blocks_with_data() {
    let vhd = exported();
    assert_eq!(vhd.len(), 512 + 1024 + 512 + 3 * (512 + BLOCK_LEN) + 512);
    assert!(import(&vhd, SIZE).unwrap() == content());
}

#[test]
fn a_larger_vdi_is_zero_behind_the_disk() {
    let bytes = import(&exported(), 7 * BLOCK).unwrap();
    assert!(bytes[..LEN] == content());
    assert!(bytes[LEN..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_fixed_vhd_is_read() {
    assert!(import(&fixed(), SIZE).unwrap() == content());
}

#[test]
fn an_empty_disk_has_no_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vdi");
    import_raw(&mut io::empty(), &path, SIZE).unwrap();
    let mut out = Vec::new();
    export_vhd(&path, SIZE, UUID, &mut out).unwrap();
    assert_eq!(out.len(), 2560);
    assert!(import(&out, SIZE).unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn a_stream_that_ends_early_is_refused() {
    let vhd = exported();
    assert_eq!(fault(&[]), "the VHD ends in its first sector");
    assert_eq!(fault(&vhd[..1000]), "the VHD ends in its header");
    assert_eq!(fault(&vhd[..1540]), "the VHD ends in its block allocation table");
    assert_eq!(fault(&vhd[..2100]), "the VHD ends in its sector bitmap");
    assert_eq!(fault(&vhd[..1_000_000]), "the VHD ends in its block");
    assert_eq!(fault(&vhd[..vhd.len() - 512]), "the VHD ends before its footer");
    assert_eq!(fault(&fixed()[..LEN]), "the VHD has no footer");
}

#[test]
fn a_changed_footer_or_header_is_refused() {
    let mut vhd = exported();
    vhd[50] ^= 1;
    assert_eq!(fault(&vhd), "the VHD's footer has a wrong checksum");
    let mut vhd = exported();
    vhd[512 + 30] ^= 1;
    assert_eq!(fault(&vhd), "the VHD's header has a wrong checksum");
    let mut vhd = fixed();
    *vhd.last_mut().unwrap() ^= 1;
    assert_eq!(fault(&vhd), "the VHD's footer has a wrong checksum");
}

#[test]
fn a_disk_larger_than_the_vdi_is_refused() {
    let error = import(&exported(), SIZE - 1).unwrap_err().to_string();
    assert_eq!(error, "the VHD's disk of 10487296 bytes is larger than the VDI's 10487295 bytes");
    let error = import(&fixed(), BLOCK).unwrap_err().to_string();
    assert_eq!(error, "the data is larger than the VDI's 2097152 bytes");
}

#[test]
fn a_differencing_disk_is_refused() {
    let mut vhd = exported();
    vhd[63] = 4;
    vhd[67] = vhd[67].wrapping_sub(1);
    assert_eq!(fault(&vhd), "the VHD is a differencing disk: its parent is not in the stream");
}

#[test]
fn qemu_img_reads_what_we_write_and_we_read_what_it_writes() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        return;
    }
    let (dir, raw) = vdi();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let qemu_img = |args: &[&str]| {
        let said = Command::new("qemu-img").args(args).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    export_vhd(&raw, SIZE, UUID, &mut File::create(file("ours.vhd")).unwrap()).unwrap();
    qemu_img(&["convert", "-f", "vpc", "-O", "raw", &file("ours.vhd"), &file("ours.raw")]);
    assert!(std::fs::read(file("ours.raw")).unwrap() == content());

    for subformat in ["dynamic", "fixed"] {
        let options = format!("subformat={subformat},force_size=on");
        qemu_img(&["convert", "-f", "raw", "-O", "vpc", "-o", &options, &file("vdi"), &file("theirs.vhd")]);
        assert!(import(&std::fs::read(file("theirs.vhd")).unwrap(), SIZE).unwrap() == content());
    }
}
