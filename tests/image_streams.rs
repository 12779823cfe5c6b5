//! The streams of images against a model of vhd-tool's reader, and their way back into files.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use one_xcp::image::{BLOCK_BYTES, Format, Image, LastFooter, Written, vhd_to_file};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn raw_file(dir: &Path, size: u64, extents: &[(u64, u8, u64)]) -> PathBuf {
    let path = dir.join("disk.raw");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for &(offset, byte, bytes) in extents {
        let (offset, end) = (offset % size, (offset % size + bytes).min(size));
        file.write_all_at(&vec![byte; usize::try_from(end - offset).unwrap()], offset).unwrap();
    }
    path
}

fn stream(path: &Path, vdi_size: u64, last_footer: LastFooter) -> (Vec<u8>, Written) {
    let mut out = Vec::new();
    let written = Image::open(path).unwrap().write_vhd(&mut out, vdi_size, last_footer).unwrap();
    (out, written)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// What vhd-tool writes to a VDI of `length` bytes when it knows nothing but that length. `None` where it
/// fails: it reads blocks by place, then the footer in the last sector of the length.
fn vhd_tool_receives(stream: &[u8], length: usize) -> Option<BTreeMap<usize, Vec<u8>>> {
    let table_offset = usize::try_from(number(&stream[512 + 16..][..8])).unwrap();
    let entries = usize::try_from(number(&stream[512 + 28..][..4])).unwrap();
    let mut places: Vec<(usize, usize)> = Vec::new();
    for block in 0..entries {
        let sector = number(&stream[table_offset + block * 4..][..4]);
        if sector != 0xffff_ffff {
            places.push((usize::try_from(sector).unwrap() * 512, block));
        }
    }
    places.sort_unstable();
    let mut written = BTreeMap::new();
    let mut at = table_offset + (entries * 4).next_multiple_of(512);
    for (place, block) in places {
        assert!(place >= at, "block {block} overlaps what is before");
        let bitmap = &stream[place..][..512];
        let sectors = bitmap.iter().map(|bits| bits.count_ones() as usize).sum::<usize>();
        written.insert(block * (2 << 20), stream[place + 512..][..sectors * 512].to_vec());
        at = place + 512 + (2 << 20);
    }
    let last = (length - 1) & !511;
    let footer = (last >= at).then(|| stream.get(last..last + 512)).flatten()?;
    footer.starts_with(b"conectix").then_some(written)
}

#[test]
fn a_pipe_gets_its_footer_at_the_end_of_the_vdi() {
    let dir = TempDir::new().unwrap();
    // The last block is not whole.
    let size = 21 * MIB + 1024;
    let raw = raw_file(dir.path(), size, &[(0, 1, 100), (9 * MIB, 2, 5 * MIB), (size - 10, 3, 10)]);
    let content = fs::read(&raw).unwrap();
    let length = usize::try_from(size).unwrap();
    let (short, written) = stream(&raw, size, LastFooter::AfterBlocks);
    assert_eq!((written.blocks, written.bytes), (5, short.len() as u64));
    assert_eq!(vhd_tool_receives(&short, length), None);
    assert!(vhd_tool_receives(&short, short.len()).is_some());

    let (long, written) = stream(&raw, size, LastFooter::AtVdiSize);
    assert_eq!((written.blocks, written.bytes, long.len()), (5, size, length));
    let mut vdi = vec![0; length];
    for (offset, data) in vhd_tool_receives(&long, length).unwrap() {
        vdi[offset..][..data.len()].copy_from_slice(&data);
    }
    assert!(vdi == content);
    // Older readers take the footer after the last block.
    assert!(long[short.len() - 512..].starts_with(b"conectix"));
    let back = dir.path().join("back");
    vhd_to_file(&mut Cursor::new(long), &back, Format::Raw, None).unwrap();
    assert!(fs::read(&back).unwrap() == content);
}

#[test]
fn a_full_disk_does_not_fit_a_pipe_as_vhd() {
    let dir = TempDir::new().unwrap();
    let raw = raw_file(dir.path(), 8 * MIB, &[(0, 7, 8 * MIB)]);
    let mut image = Image::open(&raw).unwrap();
    assert!(!image.vhd_fits_pipe(8 * MIB).unwrap());
    assert!(image.vhd_fits_pipe(10 * MIB).unwrap());
    let mut out = Vec::new();
    let error = image.write_vhd(&mut out, 8 * MIB, LastFooter::AtVdiSize).unwrap_err();
    assert!(out.is_empty());
    let wanted = format!(
        "cannot stream image {}: as a VHD it is larger than the VDI of {} bytes",
        raw.display(),
        8 * MIB
    );
    assert_eq!(format!("{error:#}"), wanted);
    assert_eq!(image.write_raw(&mut out, 8 * MIB).unwrap(), Written { blocks: 4, bytes: 8 * MIB });
    assert!(out == fs::read(&raw).unwrap());
}

/// The blocks of a stream in reverse order, with a gap before them.
fn reversed(stream: &[u8], size: u64) -> Vec<u8> {
    let entries = usize::try_from(size.div_ceil(BLOCK_BYTES)).unwrap();
    let first = 2048 + (entries * 4).next_multiple_of(512);
    let mut blocks: Vec<&[u8]> = stream[first..stream.len() - 512].chunks(512 + (2 << 20)).collect();
    blocks.reverse();
    let mut turned = stream[..first].to_vec();
    turned.resize(first + 4096, 0xaa);
    let mut sector = (first + 4096) / 512 + (512 + (2 << 20)) / 512 * blocks.len();
    for block in 0..entries {
        let entry = &mut turned[2048 + block * 4..][..4];
        if entry != [0xff; 4] {
            sector -= (512 + (2 << 20)) / 512;
            entry.copy_from_slice(&u32::try_from(sector).unwrap().to_be_bytes());
        }
    }
    turned.extend(blocks.concat());
    turned.extend_from_slice(&stream[stream.len() - 512..]);
    turned
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_disk_comes_back_as_it_was(
        sectors in 1_u64..40_000,
        extents in prop::collection::vec((0..20 * MIB, any::<u8>(), 1..300_000_u64), 0..6),
    ) {
        let dir = TempDir::new().unwrap();
        let size = sectors * 512;
        let raw = raw_file(dir.path(), size, &extents);
        let content = fs::read(&raw).unwrap();
        let vdi_size = size.next_multiple_of(BLOCK_BYTES);
        let (first, _) = stream(&raw, vdi_size, LastFooter::AfterBlocks);
        for format in [Format::Raw, Format::Qcow2, Format::Vhd] {
            let file = dir.path().join(format!("disk.{format}"));
            vhd_to_file(&mut Cursor::new(&first), &file, format, Some(size)).unwrap();
            let (second, _) = stream(&file, vdi_size, LastFooter::AfterBlocks);
            let turned = reversed(&second, vdi_size);
            vhd_to_file(&mut Cursor::new(turned), &file, format, Some(size)).unwrap();
            let mut image = Image::open(&file).unwrap();
            prop_assert_eq!(image.virtual_size_bytes(), size);
            let mut out = Vec::new();
            image.write_raw(&mut out, size).unwrap();
            prop_assert!(out == content, "{} differs", format);
        }
    }
}

#[test]
fn what_a_guest_wrote_past_the_image_is_not_cut_off() {
    let dir = TempDir::new().unwrap();
    let raw = raw_file(dir.path(), 4 * MIB, &[(4 * MIB - 512, 9, 512)]);
    let (vhd, _) = stream(&raw, 4 * MIB, LastFooter::AfterBlocks);
    for format in [Format::Raw, Format::Qcow2, Format::Vhd] {
        let back = dir.path().join(format.to_string());
        vhd_to_file(&mut Cursor::new(&vhd), &back, format, Some(3 * MIB + 512)).unwrap();
        assert_eq!(Image::open(&back).unwrap().virtual_size_bytes(), 4 * MIB, "{format}");
    }
}

#[test]
fn a_sparse_disk_is_quick() {
    let dir = TempDir::new().unwrap();
    let raw = raw_file(dir.path(), 10 * GIB, &[(5 * GIB, 1, 1), (10 * GIB - 1, 2, 1)]);
    let start = Instant::now();
    let (vhd, written) = stream(&raw, 10 * GIB, LastFooter::AfterBlocks);
    assert_eq!(written.blocks, 2);
    for format in [Format::Raw, Format::Qcow2, Format::Vhd] {
        vhd_to_file(&mut Cursor::new(&vhd), &dir.path().join("back"), format, None).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_closed_pipe_is_an_error() {
    let dir = TempDir::new().unwrap();
    let raw = raw_file(dir.path(), 8 * MIB, &[(0, 7, 8 * MIB)]);
    let (reader, mut writer) = io::pipe().unwrap();
    drop(reader);
    let mut image = Image::open(&raw).unwrap();
    let error = image.write_vhd(&mut writer, 8 * MIB, LastFooter::AfterBlocks).unwrap_err();
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).unwrap().kind();
    assert_eq!(kind, io::ErrorKind::BrokenPipe);
}
