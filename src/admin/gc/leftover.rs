//! What is a leftover, and what may be done about it.

use crate::xe::Uuid;

/// What a leftover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Vm,
    Vdi,
    Snapshot,
    SuspendImage,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Vm => "VM",
            Kind::Vdi => "VDI",
            Kind::Snapshot => "snapshot",
            Kind::SuspendImage => "suspend image",
        }
    }
}

/// A disk whose last writes may be nowhere but in its VDI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precious {
    pub vdi: Uuid,
    pub disk_id: u32,
    /// Why.
    pub reason: String,
}

/// How to remove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A VM without its mark, with its template's empty disks.
    Unmarked,
    /// A VM that never ran, and the VDIs made for it.
    HalfMade,
    /// A VM, its own disks and its snapshots; these disks must be saved first.
    Whole(Vec<Precious>),
    /// Only the VM's record: another VM has its disks.
    Record,
    /// A VDI, which must be saved first.
    Vdi(Precious),
    /// A snapshot of a VM that is gone, whose disks must be saved first.
    Snapshot(Vec<Precious>),
    SuspendImage,
}

/// What is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Remove(Removal),
    /// Named, and left to a person: what to do.
    Keep(String),
}

#[derive(Clone, Debug)]
pub struct Leftover {
    pub kind: Kind,
    pub uuid: Uuid,
    pub vm_id: u32,
    pub why: String,
    pub fate: Fate,
}

impl Leftover {
    pub fn keep(kind: Kind, uuid: &Uuid, vm_id: u32, why: &str, advice: String) -> Leftover {
        Leftover { kind, uuid: uuid.clone(), vm_id, why: why.to_owned(), fate: Fate::Keep(advice) }
    }

    pub fn remove(kind: Kind, uuid: &Uuid, vm_id: u32, why: &str, removal: Removal) -> Leftover {
        Leftover { kind, uuid: uuid.clone(), vm_id, why: why.to_owned(), fate: Fate::Remove(removal) }
    }

    /// Disks that must be saved before it may go.
    pub fn precious(&self) -> &[Precious] {
        match &self.fate {
            Fate::Remove(Removal::Whole(disks) | Removal::Snapshot(disks)) => disks,
            Fate::Remove(Removal::Vdi(disk)) => std::slice::from_ref(disk),
            _ => &[],
        }
    }
}
