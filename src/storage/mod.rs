//! VDIs as images and disks of OpenNebula's `xcp` datastores: what their scripts in `datastore/` and `tm/` share.
//!
//! An image or disk is called by the uuid of its first VDI, its key. A VDI that takes this one's place, because a
//! snapshot was gone back to, carries the key in a tag. See [`crate::translate::mark`].

pub mod bridge;
pub mod content;
pub mod fill;
pub mod format;
pub mod lineage;
pub mod make;
pub mod place;
pub mod progress;
pub mod snapshot;
pub mod staging;
pub mod swap;
pub mod verify;

use crate::image::BLOCK_BYTES;

/// OpenNebula's unit, in bytes.
pub const MB: u64 = 1 << 20;

/// A size as VDIs have it: storage back-ends round up to whole blocks.
pub fn vdi_size_bytes(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(BLOCK_BYTES)
}
