//! Kinds of SRs and what their storage managers can do (sm `drivers/NFSSR.py`, `EXTSR.py`, `LVHDSR.py`, `ISOSR.py`:
//! `CAPABILITIES`).

use super::Op;
use crate::sim::pool::Pool;
use crate::sim::row::Class;

/// How an SR keeps disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// VHD files in a file system, which grow with their data.
    Thin,
    /// VHDs on logical volumes: a disk has all its room from the beginning.
    Thick,
    /// Images of discs.
    Discs,
    /// Whole disks, copied as a whole, as the storage manager did with which the transcripts were recorded.
    Whole,
}

/// What an SR has that is of [`Kind::Whole`] whatever its type says.
pub const WHOLE: &str = "sim-whole";

/// The kind of this SR.
pub fn of(pool: &Pool, sr: &str) -> Kind {
    let Some(row) = pool.find(Class::Sr, sr) else { return Kind::Whole };
    match row.get("type") {
        _ if row.get("content-type") == "iso" => Kind::Discs,
        _ if row.is(WHOLE) => Kind::Whole,
        "nfs" | "ext" | "file" | "smb" => Kind::Thin,
        "lvm" | "lvmoiscsi" | "lvmohba" => Kind::Thick,
        _ => Kind::Whole,
    }
}

impl Kind {
    /// Whether its disks are VHDs, and clones and snapshots of them branches of one tree.
    pub fn has_trees(self) -> bool {
        matches!(self, Self::Thin | Self::Thick)
    }

    /// Whether its storage manager has what an operation needs (xapi `xapi_vdi.ml` `feature_of_op`).
    pub fn can(self, op: Op) -> bool {
        match op {
            Op::Forget | Op::Copy | Op::Destroy => true,
            Op::EnableCbt | Op::DisableCbt | Op::DataDestroy | Op::ListChangedBlocks => self.has_trees(),
            Op::ResizeOnline => false,
            Op::Clone
            | Op::Resize
            | Op::Snapshot
            | Op::Update
            | Op::GenerateConfig
            | Op::Mirror
            | Op::SetOnBoot => self != Self::Discs,
        }
    }
}
