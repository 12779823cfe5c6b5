//! The steps that make a disk's VDI and its device, each with what takes it back.

use super::Job;
use crate::action::deploy::Source;
use crate::action::disk_format;
use crate::action::hotplug;
use crate::action::hotplug::place::Slot;
use crate::action::leave::discs;
use crate::image::Image;
use crate::lock::VmLock;
use crate::report::{self, Result};
use crate::storage::fill::from_image;
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vbd::{self, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Call, Uuid, failed_with};
use anyhow::Context;
use std::slice;

impl Job<'_> {
    /// The disk's VDI, still empty if it is made from a file.
    pub(super) fn vdi<'a>(
        &self,
        undo: &Undo<'a>,
        sr: Option<Uuid>,
        lock: Option<&'a VmLock>,
    ) -> Result<Uuid> {
        let size_bytes = match &self.source {
            Source::Vdi { vdi, .. } => return Ok(vdi.clone()),
            Source::Image { vdi_size_bytes, .. } => *vdi_size_bytes,
        };
        let sr = sr.context("no SR was looked for")?;
        let attempt = mark::attempt_tag();
        if let Some(lock) = lock {
            lock.note(&attempt);
            undo.or_note(lock, &attempt);
        }
        let name = mark::vdi_name(self.vm.vm_id, self.disk.disk_id);
        let mut tags = mark::vdi_tags(self.uuid, self.vm.vm_id, self.disk.disk_id);
        tags.push(attempt.clone());
        tags.extend(self.disk.is_wanted_back(true).then(|| mark::PERSISTENT_TAG.to_owned()));
        let made = self.xe.ask(&vdi::create(&sr, &name, size_bytes, &tags));
        if made.is_err() {
            // It may be there although the call that made it never answered.
            match Vdi::with_tag(self.xe, &attempt) {
                Ok(found) => found.iter().for_each(|vdi| undo.by(vdi::destroy(&vdi.uuid))),
                Err(error) => {
                    report::warn(format!("a VDI {name} may be left in the pool: {error:#}"));
                    lock.inspect(|lock| lock.keep_note(&attempt));
                }
            }
        }
        let vdi: Uuid = made?;
        undo.by(vdi::destroy(&vdi));
        Ok(vdi)
    }

    pub(super) fn fill(&self, vdi: &Uuid) -> Result<()> {
        let Source::Image { file, format, backing, vdi_size_bytes } = &self.source else { return Ok(()) };
        Image::open_chain(file, *format, backing)
            .and_then(|mut image| from_image(self.xe, vdi, &mut image, *vdi_size_bytes))
            .with_context(|| format!("cannot bring {} into the pool", file.display()))
    }

    /// In the slot that TARGET names; if that is taken meanwhile, in any.
    pub(super) fn create(&self, undo: &Undo<'_>, slot: &Slot, vdi: &Uuid) -> Result<Uuid> {
        let wish = slot.device.map_or(vbd::ANY_DEVICE.to_owned(), |device| device.to_string());
        let made = match self.xe.ask(&slot.vbd(self.uuid, vdi, &wish)) {
            Err(error) if failed_with(&error, &["DEVICE_ALREADY_EXISTS"]) => {
                self.xe.ask(&slot.vbd(self.uuid, vdi, vbd::ANY_DEVICE))
            }
            other => other,
        };
        if let Ok(vbd) = &made {
            undo.by(vbd::destroy(vbd));
        } else {
            // It may be there although the call that made it never answered.
            let is_new = |vbd: &&Vbd| {
                vbd.vdi_uuid.as_ref() == Some(vdi) && self.vbds.iter().all(|old| old.uuid != vbd.uuid)
            };
            match Vbd::of_vm(self.xe, self.uuid) {
                Ok(now) => now.iter().filter(is_new).for_each(|vbd| undo.by(vbd::destroy(&vbd.uuid))),
                Err(error) => report::warn(format!("the VM may be left with a VBD of VDI {vdi}: {error:#}")),
            }
        }
        made
    }

    /// The drive is marked first: a disc that is in it is never without a mark. A disc that it was made with, and that
    /// somebody ejected, could not be found any more afterwards.
    pub(super) fn insert(&self, undo: &Undo<'_>, drive: &Vbd, vdi: &Uuid) -> Result<()> {
        if mark::disk_id(drive).is_some() {
            let ejected = discs::of_drives(self.xe, self.uuid, slice::from_ref(drive))?;
            for disc in ejected.iter().filter(|disc| *disc != vdi) {
                self.xe.run(&vdi::destroy(disc))?;
            }
            self.xe.run(&vbd::clear_other_config(&drive.uuid))?;
        }
        undo.by(vbd::clear_other_config(&drive.uuid));
        self.xe.run(&self.marked(&drive.uuid, Some(vdi)))?;
        undo.by(vbd::eject(&drive.uuid));
        hotplug::settle(self.xe, &vbd::insert(&drive.uuid, vdi), "VBD_NOT_EMPTY", || {
            self.is(&drive.uuid, |vbd| vbd.vdi_uuid.as_ref() == Some(vdi))
        })
    }

    pub(super) fn plug(&self, undo: &Undo<'_>, vbd: &Uuid) -> Result<()> {
        undo.by(vbd::unplug(vbd));
        hotplug::settle(self.xe, &vbd::plug(vbd), "DEVICE_ALREADY_ATTACHED", || {
            self.is(vbd, |vbd| vbd.is_attached)
        })
    }

    /// How the device is now.
    fn is(&self, uuid: &Uuid, test: impl Fn(&Vbd) -> bool) -> Result<bool> {
        Ok(Vbd::of_vm(self.xe, self.uuid)?.iter().any(|vbd| vbd.uuid == *uuid && test(vbd)))
    }

    /// `inserted`: the VDI in it, if it is a CD drive.
    pub(super) fn marked(&self, vbd: &Uuid, inserted: Option<&Uuid>) -> Call {
        let disk = self.disk;
        let (vm_id, stamp) = (self.vm.vm_id, &self.stamp);
        let marks = mark::vbd_marks(vm_id, disk.disk_id, disk.image_id, &disk.origin, stamp, inserted);
        let goes_back = disk.is_wanted_back(true).then(|| disk_format::to_write(disk));
        vbd::set(vbd).set_all(marks).set_all(goes_back.map(mark::format_mark))
    }
}
