//! A VM's disks: what OpenNebula says of each, and what its guest last wrote.

use std::fs;
use std::path::{Path, PathBuf};

pub const SIZE_BYTES: usize = 1 << 20;

/// What a disk is for OpenNebula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A persistent image of a file datastore: what the guest wrote outlives the VM.
    Persistent,
    /// A copy of an image, which goes with the VM.
    Cloned,
    /// Made empty for the VM.
    Volatile,
}

/// A disk and its newest bytes.
#[derive(Clone, Debug)]
pub struct Disk {
    pub disk_id: u32,
    pub kind: Kind,
    /// As its guest sees it.
    pub bytes: Vec<u8>,
}

/// The DISK_ID of the context disc.
pub const CONTEXT: u32 = 9;

/// The DISK_ID of the persistent image that is attached to running VMs.
pub const HOTPLUGGED: u32 = 3;

impl Disk {
    pub fn new(disk_id: u32, kind: Kind, bytes: Vec<u8>) -> Disk {
        Disk { disk_id, kind, bytes }
    }

    /// The VBD's device: TARGET is `xvda` for disk 0, and so on; the context disc has `xvdd`.
    fn place(&self) -> u32 {
        if self.disk_id == HOTPLUGGED { 4 } else { self.disk_id }
    }

    pub fn device(&self) -> String {
        self.place().to_string()
    }

    pub fn target(&self) -> String {
        format!("xvd{}", char::from(b'a' + u8::try_from(self.place()).unwrap()))
    }

    /// The image that it is made from, if any; each disk of each VM slot has its own.
    pub fn image_id(&self, slot: usize) -> u32 {
        100 + u32::try_from(slot).unwrap() * 10 + self.disk_id
    }

    /// As in VM/TEMPLATE; `recorded` is a DISK that a real oned gave.
    pub fn element(&self, slot: usize, recorded: &str) -> String {
        let yes_no = |yes| if yes { "YES" } else { "NO" };
        let mut element = recorded.to_owned();
        for (name, value) in [
            ("DISK_ID", self.disk_id.to_string()),
            ("TARGET", self.target()),
            ("SIZE", (SIZE_BYTES >> 20).to_string()),
            ("ORIGINAL_SIZE", (SIZE_BYTES >> 20).to_string()),
            ("SAVE", yes_no(self.kind == Kind::Persistent).to_owned()),
            ("CLONE", yes_no(self.kind != Kind::Persistent).to_owned()),
            ("IMAGE_ID", self.image_id(slot).to_string()),
        ] {
            element = with(&element, name, &value);
        }
        if self.kind == Kind::Volatile {
            for name in ["IMAGE_ID", "IMAGE", "SAVE", "CLONE", "SOURCE"] {
                element = without(&element, name);
            }
            element = with(&element, "TYPE", "fs");
        }
        element
    }
}

/// The element with another text; it must be there.
fn with(within: &str, name: &str, text: &str) -> String {
    let (start, end) = (format!("<{name}><![CDATA["), format!("]]></{name}>"));
    let at = within.find(&start).unwrap_or_else(|| panic!("{name} is not in {within}")) + start.len();
    let end = at + within[at..].find(&end).unwrap();
    format!("{}{text}{}", &within[..at], &within[end..])
}

fn without(within: &str, name: &str) -> String {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let at = within.find(&start).unwrap_or_else(|| panic!("{name} is not in {within}"));
    let end = at + within[at..].find(&end).unwrap() + end.len();
    format!("{}{}", &within[..at], &within[end..])
}

/// `disk.N` in a VM's folder.
pub fn file(folder: &Path, disk_id: u32) -> PathBuf {
    folder.join(format!("disk.{disk_id}"))
}

/// Whether a VDI or a file holds these bytes; VDIs may be larger, and zeros at their end need not be kept.
pub fn holds(held: &[u8], wanted: &[u8]) -> bool {
    let common = held.len().min(wanted.len());
    held[..common] == wanted[..common] && is_zero(&held[common..]) && is_zero(&wanted[common..])
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether a file holds these bytes.
pub fn file_holds(file: &Path, wanted: &[u8]) -> bool {
    fs::read(file).is_ok_and(|held| holds(&held, wanted))
}
