//! Which VMDK files `qemu-img` may read. A VMDK can name other files, as an extent or as its parent, and `qemu-img` opens
//! whatever is named: the image would then hold the bytes of any file that this program can read.
//!
//! The descriptor stands at 512 in these, and `capacity` at 12 of the header (VMware's Virtual Disk Format 5.0).
//! Taken are only files that hold all of their data (`monolithicSparse`, `streamOptimized`) and have no parent.

use super::head;
use crate::image::MAX_VHD_BYTES;
use crate::report::Result;
use anyhow::{Context, ensure};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Where the descriptor of the kinds that we take begins; qemu reads the parent's name there (block/vmdk.c,
/// `vmdk_open`: `desc_offset = 0x200`), whatever the header says.
const DESCRIPTOR_OFFSET: usize = 512;
/// The header with `qemu`'s whole descriptor (block/vmdk.c, `DESC_SIZE`: 20 sectors).
const CHECKED_BYTES: u64 = 512 + 20 * 512;
/// `parentCID` of a disk without parent.
const NO_PARENT: &str = "ffffffff";
const KINDS: [&str; 2] = ["monolithicSparse", "streamOptimized"];
/// The header (block/vmdk.c, `VMDK4Header`, behind the magic number): the disk's size in sectors, and where the grain
/// directory is. If that is [`AT_END`], another header near the end of the file counts, behind a marker and before another.
const CAPACITY: Range<usize> = 12..20;
const DIRECTORY: Range<usize> = 56..64;
const AT_END: u64 = u64::MAX;
const LAST_HEADER_FROM_END: u64 = 1024;

/// Refuses what names another file. The size of the disk in it, in bytes.
pub fn check(file: &File, name: &str) -> Result<u64> {
    let length = file.metadata().with_context(|| format!("cannot read {name}"))?.len();
    let mut head = vec![0; usize::try_from(length.min(CHECKED_BYTES))?];
    file.read_exact_at(&mut head, 0).with_context(|| format!("cannot read {name}"))?;
    // Where it is 0, qemu takes the extents that the descriptor names.
    let sectors = number(&head, CAPACITY).filter(|sectors| *sectors > 0);
    let sectors = sectors.filter(|_| head.starts_with(head::VMDK)).with_context(|| {
        format!(
            "the VMDK {name} has no size in its header: only a VMDK that holds all of its data \
             (monolithicSparse, streamOptimized) is taken"
        )
    })?;
    if number(&head, DIRECTORY) == Some(AT_END) {
        let mut last = [0; 512];
        let read = length.checked_sub(LAST_HEADER_FROM_END).filter(|_| length.is_multiple_of(512));
        let read = read.and_then(|place| file.read_exact_at(&mut last, place).ok());
        ensure!(
            read.is_some() && last.starts_with(head::VMDK) && number(&last, CAPACITY) == Some(sectors),
            "the VMDK {name} is truncated: the header at its end is not that at its start"
        );
    }
    check_descriptor(&String::from_utf8_lossy(head.get(DESCRIPTOR_OFFSET..).unwrap_or_default()), name)?;
    let bytes = sectors.checked_mul(512).filter(|bytes| *bytes <= MAX_VHD_BYTES);
    bytes.with_context(|| format!("the VMDK {name} is larger than the 2040 GiB a VHD can hold"))
}

fn check_descriptor(descriptor: &str, name: &str) -> Result<()> {
    let parents: Vec<&str> = descriptor.lines().filter_map(|line| value(line, "parentCID")).collect();
    ensure!(
        !descriptor.to_ascii_lowercase().contains("parentfilenamehint")
            && parents.iter().all(|parent| parent.eq_ignore_ascii_case(NO_PARENT)),
        "the VMDK {name} has a parent: only a VMDK that holds all of its data is taken"
    );
    let kinds: Vec<&str> = descriptor.lines().filter_map(|line| value(line, "createType")).collect();
    ensure!(
        matches!(kinds.as_slice(), [kind] if KINDS.contains(kind)),
        "the VMDK {name} has the createType {kinds:?}: only monolithicSparse and streamOptimized are taken"
    );
    Ok(())
}

fn number(header: &[u8], place: Range<usize>) -> Option<u64> {
    Some(u64::from_le_bytes(header.get(place)?.try_into().ok()?))
}

/// The value of a line `key="…"` or `key=…`.
fn value<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    let (key, value) = line.split_once('=')?;
    (key.trim() == wanted).then(|| value.trim_matches(['"', ' ', '\r', '\0']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPARSE: &str = "# Disk DescriptorFile\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n";

    fn header(capacity_sectors: u64, directory: u64) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..4].copy_from_slice(b"KDMV");
        header[CAPACITY].copy_from_slice(&capacity_sectors.to_le_bytes());
        header[DIRECTORY].copy_from_slice(&directory.to_le_bytes());
        header
    }

    fn checked(parts: &[&[u8]]) -> std::result::Result<u64, String> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&parts.concat(), 0).unwrap();
        check(&file, "disk.vmdk").map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_file_that_holds_all_of_its_data_is_taken() {
        let with =
            |capacity, descriptor: &str| checked(&[&header(capacity, 21), descriptor.as_bytes(), &[0; 900]]);
        assert_eq!(with(20480, SPARSE), Ok(10 << 20));
        assert_eq!(with(20480, &SPARSE.replace("monolithicSparse", "streamOptimized")), Ok(10 << 20));
        let refused = |capacity, descriptor: &str| with(capacity, descriptor).unwrap_err();
        assert!(refused(0, SPARSE).contains("has no size in its header"));
        assert!(refused(u64::MAX, SPARSE).contains("larger than the 2040 GiB"));
        for kind in ["monolithicFlat", "twoGbMaxExtentSparse", "vmfs", "custom"] {
            assert!(refused(20480, &SPARSE.replace("monolithicSparse", kind)).contains(kind));
        }
        assert!(refused(20480, "").contains("createType []"));
        assert!(refused(20480, &SPARSE.replace("ffffffff", "1234abcd")).contains("has a parent"));
        let parent = format!("{SPARSE}parentFileNameHint=\"/etc/passwd\"\n");
        assert!(refused(20480, &parent).contains("has a parent"));
    }

    #[test]
    fn the_header_at_the_end_counts_where_qemu_reads_it() {
        let first = header(20480, AT_END);
        let mut descriptor = SPARSE.as_bytes().to_vec();
        descriptor.resize(512, 0);
        let ends = |last: &[u8]| checked(&[&first, &descriptor, &[0; 512], last, &[0; 512]]);
        assert_eq!(ends(&header(20480, 21)), Ok(10 << 20));
        assert!(ends(&header(1 << 30, 21)).unwrap_err().contains("is not that at its start"));
        assert!(ends(&[0; 512]).unwrap_err().contains("is not that at its start"));
        assert!(ends(&header(20480, 21)[..500]).unwrap_err().contains("is not that at its start"));
    }
}
