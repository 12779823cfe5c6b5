//! Everything that can be checked and decided before the pool is touched.

use super::halted::Halted;
use crate::action::disk_format;
use crate::image::{BLOCK_BYTES, BackingFolders, Format, Image};
use crate::one::disk::Origin;
use crate::one::lcm_state::LcmState;
use crate::one::{Conf, Disk, Vm};
use crate::report::Result;
use crate::translate::device::{ContextDevice, Slot};
use crate::translate::{boot, cpu, device, mark, memory, pci, platform, raw};
use crate::xe::Uuid;
use crate::xe::vm::MemoryLimits;
use anyhow::{Context, bail, ensure};
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The template that is there on every host, and has no disks of its own (xapi create_templates).
pub const DEFAULT_TEMPLATE: &str = "Other install media";

/// A VM, decided.
pub struct Plan {
    pub params: Vec<(String, String)>,
    pub memory: MemoryLimits,
    /// Of the VM's `disk.N`.
    pub folder: PathBuf,
    pub disks: Vec<PlannedDisk>,
    pub has_tpm: bool,
    /// The halted VM whose disks are taken over.
    pub replaces: Option<Uuid>,
}

/// A disk and where its bytes come from.
#[derive(Clone, Debug)]
pub struct PlannedDisk {
    pub slot: Slot,
    pub image_id: Option<u32>,
    pub is_read_only: bool,
    pub writes: Writes,
    pub is_bootable: bool,
    pub origin: Origin,
    pub source: Source,
    /// The format of the file that it goes back to when its guest powers itself off; of persistent disks.
    pub goes_back: Option<Format>,
    /// Tells later whether the image file is still the one that the VDI was filled from.
    pub stamp: String,
    /// There is no file to make it from: only a VDI that a VM of before has can be the disk.
    pub lacks_file: bool,
}

/// What a guest writes to a disk that is made from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Nothing that counts: the disk is read only, or swap space.
    Nothing,
    /// What is wanted until the VM is terminated.
    UntilTerminated,
    /// What is wanted even when the VM is terminated: a persistent image.
    Persistent,
}

impl Writes {
    fn of(disk: &Disk) -> Writes {
        match (disk.is_wanted_back(true), disk.is_wanted_back(false)) {
            (true, _) => Writes::Persistent,
            (false, true) => Writes::UntilTerminated,
            (false, false) => Writes::Nothing,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An image file of this format: a VDI of this size is made and filled from it.
    Image { file: PathBuf, format: Format, backing: BackingFolders, vdi_size_bytes: u64 },
    /// A VDI that is there already, and must be at least as large.
    Vdi { vdi: Uuid, at_least_bytes: u64 },
}

impl Plan {
    /// Checks the document and the disks' files.
    pub fn make(vm: &Vm, conf: &Conf, deployment_file: &Path) -> Result<Plan> {
        let folder = super::folder::of_vm(vm, conf, deployment_file)?;
        let context_device =
            ContextDevice::of_setting(conf.one_of("CONTEXT_DEVICE", &["auto", "cd", "disk"])?);
        let slots = device::slots(vm, context_device)?;
        let mut disks = Vec::new();
        for slot in slots {
            let disk = vm.disks.iter().find(|disk| disk.disk_id == slot.disk_id);
            disks.push(PlannedDisk::make(vm, disk, slot, &folder)?);
        }
        let ids: HashSet<u32> = disks.iter().map(|disk| disk.slot.disk_id).collect();
        let wanted = vm.disks.len() + usize::from(vm.context.is_some());
        ensure!(ids.len() == wanted, "VM/TEMPLATE has several disks with the same DISK_ID");
        let mut params = vec![("name-description".to_owned(), description(&vm.name))];
        params.extend(cpu::params(vm, conf.yes("CPU_CAP")?)?);
        params.extend(boot::params(vm)?);
        params.extend(platform::params(vm)?);
        params.extend(pci::params(vm)?);
        params.extend(raw::params(vm)?);
        if disks.iter().any(|disk: &PlannedDisk| disk.goes_back.is_some()) {
            params.extend(mark::folder_mark(&folder));
        }
        Ok(Plan {
            params,
            memory: memory::limits(vm),
            folder,
            disks,
            has_tpm: pci::has_tpm(vm),
            replaces: None,
        })
    }

    /// With the disks that a halted VM of before already has, instead of their files: what the guest wrote
    /// is there. An error if a disk has neither.
    pub fn adopting(mut self, old: Option<&Halted>) -> Result<Plan> {
        for disk in &mut self.disks {
            match (old.and_then(|old| old.vdi_of(disk)), &disk.source) {
                (Some(adopted), _) => disk.source = adopted,
                (None, Source::Image { file, .. }) if disk.lacks_file => bail!(
                    "there is no {}, and no VM of before in the pool that has disk {}",
                    file.display(),
                    disk.slot.disk_id
                ),
                (None, _) => {}
            }
        }
        self.replaces = old.map(|old| old.uuid.clone());
        Ok(self)
    }

    /// The VDIs that are there already.
    pub fn vdis(&self) -> Vec<Uuid> {
        let vdi_of = |disk: &PlannedDisk| match &disk.source {
            Source::Vdi { vdi, .. } => Some(vdi.clone()),
            Source::Image { .. } => None,
        };
        self.disks.iter().filter_map(vdi_of).collect()
    }
}

impl PlannedDisk {
    /// `disk` is none for the context disc.
    fn make(vm: &Vm, disk: Option<&Disk>, slot: Slot, folder: &Path) -> Result<PlannedDisk> {
        let file = folder.join(format!("disk.{}", slot.disk_id));
        let place = disk.map_or("VM/TEMPLATE/CONTEXT", |disk| disk.path.as_str());
        let origin = disk.map_or(Origin::File, |disk| disk.origin.clone());
        let is_new = vm.lcm_state == LcmState::BOOT;
        // Where hosts share no datastores, the folder of a VM whose guest powered itself off may be lost.
        let lacks_file = !is_new && disk.is_some_and(may_lack_file) && is_missing(&file);
        let source = match disk {
            None => context_disc(&file),
            Some(_) if lacks_file => Ok((no_source(&file), String::new())),
            Some(disk) => source(disk, &file, is_new),
        };
        let (source, stamp) = source.with_context(|| format!("{place} (disk {})", slot.disk_id))?;
        Ok(PlannedDisk {
            slot,
            image_id: disk.and_then(|disk| disk.image_id),
            is_read_only: disk.is_none_or(|disk| disk.is_read_only),
            writes: disk.map_or(Writes::Nothing, Writes::of),
            is_bootable: boot::boot_disk_id(vm) == Some(slot.disk_id),
            origin,
            source,
            goes_back: disk.filter(|disk| disk.is_wanted_back(true)).map(disk_format::to_write),
            stamp,
            lacks_file,
        })
    }
}

/// Whether the disk's VDI may be all there is of it: a CD is made of its file each time.
fn may_lack_file(disk: &Disk) -> bool {
    disk.origin == Origin::File && !disk.is_read_only
}

fn is_missing(file: &Path) -> bool {
    fs::metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn no_source(file: &Path) -> Source {
    let (format, backing) = (Format::Raw, BackingFolders::default());
    Source::Image { file: file.to_owned(), format, backing, vdi_size_bytes: 0 }
}

/// Where the bytes of a disk are whose `disk.N` is this file, and the file's stamp. `is_new`: OpenNebula has just made
/// the file of the disk's image.
pub fn source(disk: &Disk, file: &Path, is_new: bool) -> Result<(Source, String)> {
    match disk.origin {
        Origin::File => {
            let image = disk_format::open(disk, file, is_new)?;
            image_source(&image, file, disk_format::backing(disk, file))
        }
        Origin::Vdi => vdi_source(file).map(|source| (source, String::new())),
    }
}

/// OpenNebula makes it with `mkisofs`, and users write what is on it.
fn context_disc(file: &Path) -> Result<(Source, String)> {
    image_source(&Image::open_as(file, Format::Raw)?, file, BackingFolders::default())
}

fn image_source(image: &Image, file: &Path, backing: BackingFolders) -> Result<(Source, String)> {
    let vdi_size_bytes = image.virtual_size_bytes().next_multiple_of(BLOCK_BYTES);
    let source = Source::Image { file: file.to_owned(), format: image.format(), backing, vdi_size_bytes };
    Ok((source, stamp(file)?))
}

/// Tells later whether an image file has changed: its length and when it was written to.
pub fn stamp(file: &Path) -> Result<String> {
    let about = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(format!("{}.{}.{}", about.len(), about.mtime(), about.mtime_nsec()))
}

/// The VDI that `disk.N` of an `xcp` datastore names; none for a disk of another datastore, or where it names none.
pub fn named_vdi(disk: &Disk, file: &Path) -> Option<Uuid> {
    match disk.origin {
        Origin::File => None,
        Origin::Vdi => match vdi_source(file).ok()? {
            Source::Vdi { vdi, .. } => Some(vdi),
            Source::Image { .. } => None,
        },
    }
}

/// `disk.N` of an `xcp` datastore: one line, the VDI's uuid.
fn vdi_source(file: &Path) -> Result<Source> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let vdi = text.trim().parse().with_context(|| format!("{} should name a VDI", file.display()))?;
    Ok(Source::Vdi { vdi, at_least_bytes: 0 })
}

/// The user's name for the VM, in one line: `xe` takes a line break for the next argument.
fn description(name: &str) -> String {
    crate::report::one_line(name)
}
