//! VDIs of `xcp` datastores that a killed script has left: half-filled images, clones that were to become something,
//! disks of VMs that OpenNebula has no more.
//!
//! XAPI does not tell when a VDI was made; our own tags and descriptions do. What may hold somebody's data is named
//! and left to a person.

mod increment;
mod leftover;
mod write_back;

pub use leftover::{Leftover, Remedy};

use super::Judge;
use super::images::Images;
use crate::admin::claims::Claim;
use crate::lock::VmLock;
use crate::report::Result;
use crate::storage::{lineage, swap};
use crate::translate::mark;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Uuid, Xe, time};
use std::collections::HashMap;

/// What only this search asks of a VDI.
pub struct Name {
    label: String,
    /// When it was made, as its description says, in seconds since 1970.
    begun: Option<u64>,
    /// What it is a snapshot of.
    snapshot_of: Option<Uuid>,
    /// When it was taken, of a snapshot, in seconds since 1970.
    taken: Option<u64>,
    /// The VM, of a snapshot for its incremental backups.
    increment_of: Option<u32>,
    /// The same, of one that is being taken, or that somebody has taken by hand meanwhile.
    attempt_of: Option<u32>,
    /// The mark of a `save` that was killed while it wrote a disk back.
    write_back: Option<String>,
    /// More than the log of what has changed.
    has_data: bool,
}

impl Name {
    /// What tells a snapshot that a driver took from one that somebody took.
    fn mark(&self) -> Option<(&'static str, String)> {
        let increment = self.increment_of.map(|vm_id| (mark::INCREMENT_OF, vm_id.to_string()));
        increment.or_else(|| Some((mark::WRITE_BACK_ATTEMPT, self.write_back.clone()?)))
    }
}

/// By uuid. Whoever may name VDIs could forge a record here: before anything is removed XAPI is asked whether this
/// very VDI has this very name.
pub fn names(xe: &Xe) -> Result<HashMap<Uuid, Name>> {
    let fields =
        ["uuid", "name-label", "name-description", "snapshot-of", "snapshot-time", "other-config", "type"];
    let named = xe.list("vdi", &fields, &[], |record| {
        let value = |key| record.map_value("other-config", key);
        let name = Name {
            label: record.text("name-label").to_owned(),
            begun: mark::begun_at(record.text("name-description")),
            snapshot_of: record.optional("snapshot-of")?,
            taken: time::unix(record.text("snapshot-time")),
            increment_of: value(mark::INCREMENT_OF).and_then(|vm_id| vm_id.parse().ok()),
            attempt_of: value(mark::INCREMENT_ATTEMPT).and_then(mark::vm_id_of_attempt),
            write_back: value(mark::WRITE_BACK_ATTEMPT).map(str::to_owned),
            has_data: record.text("type") != vdi::LOG_ONLY,
        };
        Ok((record.get("uuid")?, name))
    })?;
    Ok(named.into_iter().collect())
}

/// What all of them are judged by.
pub struct Search<'a> {
    pub judge: &'a Judge<'a>,
    pub vdis: &'a [Vdi],
    pub names: &'a HashMap<Uuid, Name>,
    /// None: nobody told which images OpenNebula has.
    pub images: Option<&'a Images>,
    /// The VM whose lock is held while one of its VDIs is looked at once more.
    pub locked: Option<u32>,
}

impl Search<'_> {
    /// All of them, snapshots before the disks that tell whose they are.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let mut found: Vec<Leftover> = self.vdis.iter().filter_map(|vdi| self.judged(vdi)).collect();
        found.sort_by_key(|leftover| mark::snapshot_of(&leftover.vdi.tags).is_none());
        found
    }

    fn judged(&self, vdi: &Vdi) -> Option<Leftover> {
        let name = self.names.get(&vdi.uuid)?;
        // VDIs that a deployment made go with its VM.
        if vdi.vbds > 0 || (mark::is_of_deployment(&vdi.tags) && !vdi.is_a_snapshot) {
            return None;
        }
        let write_back_of = name.write_back.as_deref().and_then(mark::vm_id_of_attempt);
        let vm_id = name
            .increment_of
            .or(name.attempt_of)
            .or(write_back_of)
            .filter(|_| vdi.is_a_snapshot)
            .or(mark::vm_id_of_backup(&name.label))
            .or(mark::disk_of_vdi(&vdi.tags).map(|(vm_id, _)| vm_id));
        let found = |why, remedy| {
            let mark = name.mark().filter(|_| vdi.is_a_snapshot);
            Some(Leftover { vdi: vdi.clone(), name: name.label.clone(), vm_id, mark, why, remedy })
        };
        let uuid = &vdi.uuid;
        let advice =
            || format!("if no disk.N names it, and nobody wants what is in it: xe vdi-destroy uuid={uuid}");
        let keep = || Remedy::Advice(advice());
        if vdi.is_a_snapshot {
            if let Some(vm_id) = name.increment_of.or(name.attempt_of) {
                let (why, remedy) = self.increment(uuid, vm_id, name)?;
                return found(why, remedy);
            }
            if let (Some(vm_id), Some(attempt)) = (write_back_of, &name.write_back) {
                let (why, remedy) = self.write_back(uuid, vm_id, attempt, name)?;
                return found(why, remedy);
            }
            let of = name.snapshot_of.as_ref().and_then(|of| self.vdis.iter().find(|vdi| vdi.uuid == *of));
            let Some(of) = of else { return self.snapshot_of_none(vdi, name) };
            let is_ours = mark::is_of_deployment(&of.tags);
            let why =
                "a snapshot of a VM's disk, in no VM: of a write-back that was killed, or somebody's backup";
            let remedy = || self.saved(mark::disk_of_vdi(&of.tags), advice());
            return is_ours.then(|| found(why, remedy()))?;
        }
        if let Some(since) = mark::incomplete_since(&vdi.tags) {
            let is_old = self.judge.is_old(Some(since));
            return is_old.then(|| found("it was never filled to its end", Remedy::Destroy))?;
        }
        if let Some((why, remedy)) = self.unfinished(vdi, &name.label, keep()) {
            return match name.begun {
                // A copy does not tell when it was made: it may be in the making.
                None if remedy == Remedy::Destroy => found(why, keep()),
                None => found(why, remedy),
                begun => self.judge.is_old(begun).then(|| found(why, remedy))?,
            };
        }
        if let Some(key) = mark::snapshot_of(&vdi.tags) {
            let Some(of) = self.vdi_of(&key) else {
                let remedy = self.saved(mark::disk_of_vdi(&vdi.tags), advice());
                return found("what it is a snapshot of is gone", remedy);
            };
            let disk = self.disk_of_no_vm(of)?;
            let why = "it is a snapshot of a disk of a VM that OpenNebula has no more";
            return found(why, self.saved(Some(disk), advice()));
        }
        if let Some(image_id) = image_of(vdi, &name.label) {
            let is_unknown = self.images.is_some_and(|images| images.lacks(image_id, &lineage::key(vdi)));
            return is_unknown.then(|| found("OpenNebula has no image of this uuid", keep()))?;
        }
        let disk = self.disk_of_no_vm(vdi)?;
        found("it was a disk of a VM that OpenNebula has no more", self.saved(Some(disk), advice()))
    }

    /// The disk that the VDI was for a VM that OpenNebula has no more; none for an image.
    fn disk_of_no_vm(&self, vdi: &Vdi) -> Option<(u32, u32)> {
        let disk = mark::disk_of_vdi(&vdi.tags)?;
        let is_image = image_of(vdi, &self.names.get(&vdi.uuid)?.label).is_some();
        (vdi.vbds == 0 && !is_image && self.is_gone(disk.0)).then_some(disk)
    }

    /// What may be somebody's backup, or a copy that somebody made, is saved before it goes, where OpenNebula's list has
    /// no such VM; it is left to a person where nobody has said.
    fn saved(&self, disk: Option<(u32, u32)>, advice: String) -> Remedy {
        match disk {
            Some((vm_id, disk_id)) if self.judge.claim(vm_id) == Claim::Unclaimed => {
                Remedy::Save { vm_id, disk_id, advice }
            }
            _ => Remedy::Advice(advice),
        }
    }

    /// The disk that a snapshot was taken of: its tags tell, and where it is gone the name that the snapshot has of it.
    fn disk_of_snapshot(&self, name: &Name) -> Option<(u32, u32)> {
        let of = self.vdis.iter().find(|vdi| name.snapshot_of.as_ref() == Some(&vdi.uuid));
        of.and_then(|of| mark::disk_of_vdi(&of.tags))
            .or_else(|| mark::disk_of_vdi(std::slice::from_ref(&name.label)))
    }

    /// A snapshot of a VM's disk that is gone: terminating a VM that is off removes its disk, and not what was taken
    /// of it. XAPI gives a snapshot no tags, but the name of its disk; a name alone is no reason to remove it.
    fn snapshot_of_none(&self, vdi: &Vdi, name: &Name) -> Option<Leftover> {
        let disk = mark::disk_of_vdi(std::slice::from_ref(&name.label))?;
        if self.is_at_work(disk.0) {
            return None;
        }
        let advice =
            format!("it may be somebody's backup; if nobody wants it: xe vdi-destroy uuid={}", vdi.uuid);
        Some(Leftover {
            vdi: vdi.clone(),
            name: name.label.clone(),
            vm_id: Some(disk.0),
            mark: None,
            why: "a snapshot of a VM's disk, in no VM, and the pool no longer has the disk",
            remedy: self.saved(Some(disk), advice),
        })
    }

    fn is_gone(&self, vm_id: u32) -> bool {
        self.judge.claim(vm_id) == Claim::Unclaimed && !self.is_at_work(vm_id)
    }

    /// Whether an action is at work on the VM.
    fn is_at_work(&self, vm_id: u32) -> bool {
        self.locked != Some(vm_id) && VmLock::is_held(vm_id)
    }

    /// Why a clone with this name is not what it was to become.
    fn unfinished(&self, vdi: &Vdi, name: &str, advice: Remedy) -> Option<(&'static str, Remedy)> {
        if let Some(key) = mark::succeeds(name) {
            if self.has_another(&key, &vdi.uuid) {
                // With its tags it may be in a disk.N, and a guest may have written to it.
                let remedy = if vdi.tags.is_empty() { Remedy::Destroy } else { advice };
                return Some(("it was to take the place of a VDI that is still there", remedy));
            }
            let rename = Remedy::Rename(swap::name_of(vdi, name));
            return Some(("it has taken another's place, and not its name", rename));
        }
        let is_untagged = vdi.tags.is_empty();
        if mark::is_unmade_image(name) {
            Some(("OpenNebula was never told of this clone of an image", Remedy::Destroy))
        } else if mark::vm_id_of_backup(name).is_some() {
            Some(("a backup or restore was made from it", Remedy::Destroy))
        } else if is_untagged && mark::name_of_still(name).is_some_and(is_ours) {
            Some(("it was there only to be copied", Remedy::Destroy))
        } else if is_untagged && is_ours(name) {
            // XAPI gives a clone the name and description of what somebody has cloned by hand.
            Some(("its script was killed before it had tagged it, or somebody has cloned it by hand", advice))
        } else {
            None
        }
    }

    /// The VDI of an image or disk.
    fn vdi_of(&self, key: &Uuid) -> Option<&Vdi> {
        self.vdis.iter().find(|vdi| lineage::key(vdi) == *key && mark::snapshot_of(&vdi.tags).is_none())
    }

    /// Whether the image or disk has a VDI besides this one, which is not waiting itself.
    fn has_another(&self, key: &Uuid, than: &Uuid) -> bool {
        let is_waiting = |vdi: &Vdi| {
            self.names.get(&vdi.uuid).is_some_and(|name| mark::succeeds(&name.label).as_ref() == Some(key))
        };
        let mut others = self.vdis.iter().filter(|vdi| vdi.uuid != *than && lineage::key(vdi) == *key);
        others.any(|vdi| !is_waiting(vdi))
    }
}

/// An image after a VM's snapshot was gone back to has its own tag no more: its name tells the number.
fn image_of(vdi: &Vdi, name: &str) -> Option<u32> {
    let named = mark::source_of_vdi(&vdi.tags).and_then(|_| mark::image_of_vdi(&[name.to_owned()]));
    mark::image_of_vdi(&vdi.tags).or(named)
}

/// Whether scripts of ours give such a name to a clone.
fn is_ours(name: &str) -> bool {
    mark::disk_of_vdi(&[name.to_owned()]).is_some()
        || mark::snapshot_key(name).is_some()
        || mark::succeeds(name).is_some()
        || mark::is_unmade_image(name)
        || mark::image_of_vdi(&[name.to_owned()]).is_some()
}
