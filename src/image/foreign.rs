//! Disk formats that are not ours, told by their first bytes: what is in them is not to become a disk as it is.

/// Where the bytes stand, the bytes, and qemu's name of the format (in qemu's sources each in `block/NAME.c`).
const FORMATS: [(usize, &[u8], &str); 8] = [
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"QED\0", "qed"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
];

/// So much of a file tells it.
pub const FOREIGN_HEAD_BYTES: usize = 68;

/// The name of the format, if `head` begins a file of one of these.
pub fn foreign(head: &[u8]) -> Option<&'static str> {
    let is_there = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    FORMATS.iter().find(|(at, magic, _)| is_there(*at, magic)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_ours_have_names() {
        let mut vdi = b"<<< QEMU VM Virtual Disk Image >>>\n".to_vec();
        vdi.resize(64, 0);
        vdi.extend(b"\x7f\x10\xda\xbe");
        assert_eq!((foreign(&vdi), vdi.len()), (Some("vdi"), FOREIGN_HEAD_BYTES));
        assert_eq!(foreign(b"vhdxfile Q"), Some("vhdx"));
        assert_eq!(foreign(b"# Disk DescriptorFile\nversion=1"), Some("vmdk"));
        assert!([&b"QFI\xfb"[..], b"conectix", b"", b"vhdx"].into_iter().all(|head| foreign(head).is_none()));
    }
}
