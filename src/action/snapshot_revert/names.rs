//! What named the VDIs that a revert takes away names the new ones: tags, the `disk.N` of `xcp` datastores, and the
//! uuid by which OpenNebula calls an image.

use crate::action::moved_disks;
use crate::one::{Conf, Disk, Message};
use crate::parallel;
use crate::report::Result;
use crate::storage::lineage;
use crate::translate::mark;
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Call, Uuid, Xe};
use anyhow::Context;
use std::fs;

use std::path::PathBuf;

/// A VM's disks before the revert, and where their names are.
pub struct Names<'a> {
    xe: &'a Xe,
    uuid: &'a Uuid,
    vm_id: u32,
    disks: &'a [Disk],
    folder: Option<PathBuf>,
    /// The disks whose uuid OpenNebula's message does not tell.
    asked_of: Vec<(u32, Vdi)>,
}

impl<'a> Names<'a> {
    /// Asks for the tags that will be gone and are wanted. XAPI gives none to clones (`xapi_vdi.ml`
    /// `snapshot_and_clone`), but the name-label of before.
    pub fn look_up(
        xe: &'a Xe,
        conf: &Conf,
        message: Option<&'a Message>,
        uuid: &'a Uuid,
        vm_id: u32,
        before: &[Vbd],
    ) -> Result<Names<'a>> {
        let said = message.and_then(|message| message.vm_folder.as_deref());
        let folder = message.and_then(|message| conf.vm_folder(message.vm.ds_id, vm_id, said));
        let disks = message.map_or(&[][..], |message| &message.vm.disks);
        let snapshotted = message.map_or(&[][..], |message| &message.vm.snapshotted_disks);
        let is_asked = |disk_id: u32| match disks.iter().find(|disk| disk.disk_id == disk_id) {
            Some(disk) if disk.is_persistent => image_uuid(disk).is_none(),
            // Without snapshots of its own it is called by its `disk.N` alone.
            Some(_) => snapshotted.contains(&disk_id),
            None => true,
        };
        let asked: Vec<(u32, &Uuid)> = before
            .iter()
            .filter(|vbd| vbd.kind == Kind::Disk && !mark::goes_with_vm(vbd))
            .filter_map(|vbd| Some((mark::disk_id(vbd)?, vbd.vdi_uuid.as_ref()?)))
            .filter(|(disk_id, _)| is_asked(*disk_id))
            .collect();
        let found = parallel::map(&asked, |(disk_id, vdi)| Ok((*disk_id, Vdi::find(xe, vdi)?)));
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;
        let asked_of = found.into_iter().filter_map(|(disk_id, vdi)| Some((disk_id, vdi?))).collect();
        Ok(Names { xe, uuid, vm_id, disks, folder, asked_of })
    }

    /// Gives all of it to the VDIs that the VM has now.
    pub fn put_right(&self, now: &[Vbd]) -> Result<()> {
        let disks: Vec<(&Vbd, &Uuid, u32)> = now
            .iter()
            .filter(|vbd| vbd.kind == Kind::Disk)
            .filter_map(|vbd| Some((vbd, vbd.vdi_uuid.as_ref()?, mark::disk_id(vbd)?)))
            .collect();
        let is_owned_drive = |vbd: &&Vbd| vbd.kind == Kind::Cd && vbd.other_config(mark::OWNER).is_some();
        let drives: Vec<&Vbd> = now.iter().filter(is_owned_drive).collect();
        let (done, disowned) = parallel::both(
            || {
                parallel::map(&disks, |(vbd, vdi, disk_id)| {
                    if mark::goes_with_vm(vbd) {
                        self.of_file(vdi, *disk_id)
                    } else {
                        self.on_sr(vbd, vdi, *disk_id)
                    }
                })
            },
            || parallel::map(&drives, |drive| self.xe.run(&vbd::disown(&drive.uuid)).map(drop)),
        );
        done.into_iter()
            .chain(disowned)
            .collect::<Result<()>>()
            .context("the VM is back at its snapshot, but not all names of its VDIs are")
    }

    fn disk(&self, disk_id: u32) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.disk_id == disk_id)
    }

    fn of_file(&self, vdi: &Uuid, disk_id: u32) -> Result<()> {
        let is_persistent = self.disk(disk_id).is_some_and(|disk| disk.is_wanted_back(true));
        for tag in mark::vdi_tags_of_file(self.uuid, self.vm_id, disk_id, is_persistent) {
            self.xe.run(&vdi::add_tag(vdi, &tag))?;
        }
        Ok(())
    }

    /// `disk.N` comes last: as long as it names the old VDI, a repetition knows by which uuid OpenNebula calls it.
    fn on_sr(&self, vbd: &Vbd, vdi: &Uuid, disk_id: u32) -> Result<()> {
        let folder = self.folder.as_deref().context("no message tells where the VM's files are")?;
        let file = folder.join(format!("disk.{disk_id}"));
        let named: Option<Uuid> = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let tags = self.tags(disk_id, named.as_ref()).into_iter().map(|tag| vdi::add_tag(vdi, &tag));
        let calls: Vec<Call> = [vbd::disown(&vbd.uuid)].into_iter().chain(tags).collect();
        for done in parallel::map(&calls, |call| self.xe.run(call)) {
            done?;
        }
        moved_disks::name_vdi(&file, vdi)
    }

    /// What tells whose disk it is, and by which uuid OpenNebula calls it where `disk.N` does not. Of an image that
    /// is called by its uuid, the name-label tells the number.
    fn tags(&self, disk_id: u32, named: Option<&Uuid>) -> Vec<String> {
        let disk = self.disk(disk_id);
        let persistent = disk.filter(|disk| disk.is_persistent);
        if let Some(key) = persistent.and_then(image_uuid) {
            return vec![mark::source(&key)];
        }
        let own = persistent
            .and_then(|disk| disk.image_id)
            .map_or_else(|| mark::vdi_name(self.vm_id, disk_id), mark::image);
        let was = self.asked_of.iter().find(|(id, _)| *id == disk_id).map(|(_, vdi)| vdi);
        // One without tags comes from a revert that was cut short.
        let of_tagged = was.filter(|was| !was.tags.is_empty()).map(lineage::key);
        let key = was.and_then(|was| of_tagged.or(named.cloned()).or(Some(was.uuid.clone())));
        [own].into_iter().chain(key.as_ref().map(mark::source)).collect()
    }
}

/// The uuid by which OpenNebula calls an image.
fn image_uuid(disk: &Disk) -> Option<Uuid> {
    disk.source.parse().ok()
}
