//! A DISK of a VM's template.

use super::Element;
use crate::report::Result;
use std::path::{Path, PathBuf};

/// Where a disk's data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `disk.N` is an image file of a file datastore (ssh, shared, local …).
    File,
    /// `disk.N` names a VDI of an `xcp` datastore.
    Vdi,
}

/// What the guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    Disk,
    CdRom,
}

/// One DISK, typed.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Where it stands in the document, for errors.
    pub path: String,
    pub disk_id: u32,
    /// The guest's name for it (`xvda`, `sdb`, `hdc`); may be empty.
    pub target: String,
    pub origin: Origin,
    pub medium: Medium,
    /// The image it was made from; none for a volatile disk.
    pub image_id: Option<u32>,
    /// The image as its datastore's driver calls it.
    pub source: String,
    pub is_swap: bool,
    pub is_read_only: bool,
    /// A persistent image: its data is wanted even when the VM is terminated (SAVE).
    pub is_persistent: bool,
    /// Position in the boot order (ORDER), from 1.
    pub order: Option<u32>,
    /// The format of the file (`raw`, `qcow2`) in OpenNebula's words; empty where it does not tell.
    ///
    /// Since 6.0 oned sets FORMAT and DRIVER to the same: of an image from the image (Image.cc `disk_attribute`), of
    /// a volatile disk from the datastore (Datastore.cc `disk_attribute`), of swap space to `raw`. Earlier releases
    /// have FORMAT only of volatile disks, and DRIVER where the image or its datastore sets it.
    pub format: String,
    /// 0 where OpenNebula does not say.
    pub size_mb: u64,
    /// Attributes that limit input and output, as the user gave them.
    pub io_limits: Vec<(String, String)>,
}

impl Disk {
    /// Reads a DISK.
    pub fn read(disk: &Element) -> Result<Disk> {
        let kind = disk.text("TYPE").to_ascii_uppercase();
        let medium = if kind == "CDROM" { Medium::CdRom } else { Medium::Disk };
        // Only the datastore's driver, which users cannot choose, says how disk.N is to be read: a user's
        // image may hold whatever bytes, also such as name another user's VDI.
        let origin = if disk.text("TM_MAD") == "xcp" { Origin::Vdi } else { Origin::File };
        let limits =
            disk.children.iter().filter(|child| is_io_limit(child.name()) && !child.text.trim().is_empty());
        Ok(Disk {
            path: disk.path(),
            disk_id: disk.need("DISK_ID")?,
            target: disk.text("TARGET").to_owned(),
            origin,
            medium,
            image_id: disk.get("IMAGE_ID")?,
            source: disk.text("SOURCE").to_owned(),
            is_swap: kind == "SWAP",
            is_read_only: disk.is_yes("READONLY") || medium == Medium::CdRom,
            is_persistent: disk.is_yes("SAVE") || disk.is_yes("PERSISTENT"),
            order: disk.get("ORDER")?,
            format: [disk.text("FORMAT"), disk.text("DRIVER")]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default()
                .to_owned(),
            size_mb: disk.get("SIZE")?.unwrap_or(0),
            io_limits: limits.map(|limit| (limit.name().to_owned(), limit.text.trim().to_owned())).collect(),
        })
    }

    /// `disk.N` in the VM's folder on the host.
    pub fn file(&self, vm_folder: &Path) -> PathBuf {
        vm_folder.join(format!("disk.{}", self.disk_id))
    }

    /// Whether the guest's writes must find their way back to `disk.N` when the VM leaves the host.
    pub fn is_wanted_back(&self, vm_ends: bool) -> bool {
        let holds_data = self.origin == Origin::File && !self.is_read_only && !self.is_swap;
        holds_data && (self.is_persistent || !vm_ends)
    }
}

fn is_io_limit(name: &str) -> bool {
    name.ends_with("_BYTES_SEC")
        || name.ends_with("_IOPS_SEC")
        || name.contains("_SEC_MAX")
        || name == "SIZE_IOPS_SEC"
}
