//! `write_back`: a guest has powered itself off, and its persistent disks go back to their files. The monitoring client
//! calls it, before OpenNebula hears that the VM is off: from then on OpenNebula may end the VM without another word to
//! us, and takes `disk.N` for the image.
//!
//! Without OpenNebula's message the marks tell what goes where: the VM's folder on the VM, the format on the VBD.

use super::leave::write_back::{ToFile, write};
use super::{Caller, deploy};
use crate::image::{Format, Image};
use crate::lock::VmLock;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vbd::{self, Vbd};
use crate::xe::vdi::Vdi;
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the subcommand.
pub const NAME: &str = "write_back";

/// Write the persistent disks of a VM that powered itself off back to their files.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// OpenNebula's number of the VM
    vm_id: u32,
    /// The host to ask, where XE_SERVER is HOST
    #[arg(default_value = "")]
    host: String,
}

/// Permission bits of a folder: everybody may write there, and only the owner of a thing may remove it.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A disk that goes back.
struct GoesBack {
    disk_id: u32,
    format: Format,
    vbd: Uuid,
    vdi: Uuid,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let (conf, vm_id) = (caller.conf()?, args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let Some(_lock) = VmLock::try_take(vm_id)? else {
        bail!("an action is at work on VM {vm_id}: it decides what becomes of the disks");
    };
    let Some(folder) = folder(&xe, args)? else { return Ok(String::new()) };
    let disks = disks(&xe, args)?;
    let written = parallel::map(&disks, |disk| to_file(&xe, disk, &folder));
    written.into_iter().collect::<Result<()>>().map(|()| String::new())
}

/// The VM's folder, if the VM is off and nobody else has its disks.
fn folder(xe: &Xe, args: &Args) -> Result<Option<PathBuf>> {
    let (uuid, vm_id) = (&args.deploy_id, args.vm_id);
    let all = vm::Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
    let records: Vec<&vm::Vm> = all.iter().filter(|record| mark::is_original(record)).collect();
    let Some(record) = records.iter().find(|record| record.uuid == *uuid) else {
        bail!("the pool has no VM {uuid} that was made for OpenNebula's VM {vm_id}");
    };
    ensure!(record.power_state == PowerState::Halted, "VM {uuid} is {}, not halted", record.power_state);
    if let Some(newer) = records.iter().find(|record| record.power_state != PowerState::Halted) {
        bail!("VM {vm_id} is {} as {}, which may have the disks of VM {uuid}", newer.power_state, newer.uuid);
    }
    let Some(folder) = record.other_config(mark::FOLDER).filter(|folder| !folder.is_empty()) else {
        report::info(format!("VM {uuid} has no persistent disk that goes back to a file"));
        return Ok(None);
    };
    let folder = PathBuf::from(folder);
    ensure!(
        folder.is_absolute() && folder.ends_with(vm_id.to_string()),
        "{} of VM {uuid} is {}, which is no folder of VM {vm_id}",
        mark::FOLDER,
        folder.display()
    );
    ensure!(folder.is_dir(), "there is no folder {} for the disks of VM {uuid}", folder.display());
    check_private(&folder)?;
    Ok(Some(folder))
}

/// The mark is text in the pool, which roles below the pool's administrator may change: it leads to no folder in which
/// another user of this machine could have put links in place of disks.
fn check_private(folder: &Path) -> Result<()> {
    let real = folder.canonicalize().with_context(|| format!("cannot look at {}", folder.display()))?;
    let mut owner_uid = None;
    for part in real.ancestors() {
        let about = fs::metadata(part).with_context(|| format!("cannot look at {}", part.display()))?;
        // In a sticky folder, as /tmp is, others cannot replace what is not theirs.
        let is_sticky_over_ours = about.mode() & STICKY != 0 && owner_uid.is_some_and(is_root_or_us);
        ensure!(
            about.mode() & OTHERS_WRITE == 0 || is_sticky_over_ours,
            "disks are not written back to {}: everybody may write to {}",
            folder.display(),
            part.display()
        );
        owner_uid = Some(about.uid());
    }
    Ok(())
}

fn is_root_or_us(uid: u32) -> bool {
    uid == 0 || geteuid().as_raw() == uid
}

/// The disks that go back. The tags of VDIs tell of those that a shorter list of VBDs would leave out.
fn disks(xe: &Xe, args: &Args) -> Result<Vec<GoesBack>> {
    let (vbds, vdis) =
        parallel::both(|| Vbd::of_vm(xe, &args.deploy_id), || Vdi::with_tag(xe, mark::PERSISTENT_TAG));
    let vbds = vbds?;
    for vdi in vdis?.iter().filter(|vdi| vdi.vbds > 0 && !vdi.is_a_snapshot) {
        let is_in_vm = vbds.iter().any(|vbd| vbd.vdi_uuid.as_ref() == Some(&vdi.uuid));
        let is_its = mark::vm_of_vdi(&vdi.tags).as_ref() == Some(&args.deploy_id);
        ensure!(
            is_in_vm || !is_its,
            "VDI {} was made for VM {}, is attached, and xe vbd-list answers without it",
            vdi.uuid,
            args.deploy_id
        );
    }
    let goes_back = |vbd: &Vbd| {
        let format: Format = vbd.other_config(mark::FORMAT)?.parse().ok()?;
        let (disk_id, vdi) = (mark::disk_id(vbd)?, vbd.vdi_uuid.clone()?);
        mark::goes_with_vm(vbd).then(|| GoesBack { disk_id, format, vbd: vbd.uuid.clone(), vdi })
    };
    Ok(vbds.iter().filter_map(goes_back).collect())
}

/// The next deployment takes the VDI for the newest in any case; with the file's stamp it does not warn of a change.
fn to_file(xe: &Xe, disk: &GoesBack, folder: &Path) -> Result<()> {
    let file = folder.join(format!("disk.{}", disk.disk_id));
    let size_bytes = size_bytes(disk.format, &file);
    let to = ToFile { disk_id: disk.disk_id, format: disk.format, size_bytes, file: &file };
    write(xe, &to, &disk.vdi)
        .with_context(|| format!("cannot write disk {} back to {}", disk.disk_id, file.display()))?;
    let stamp = deploy::stamp(&file)?;
    xe.run(&vbd::set(&disk.vbd).set(format!("other-config:{}", mark::FILE_STAMP), stamp)).map(drop)
}

/// What the file holds now; none if it is not there, or does not tell. Of a raw one every byte counts.
fn size_bytes(format: Format, file: &Path) -> Option<u64> {
    match format {
        Format::Raw | Format::Iso => fs::metadata(file).ok().map(|about| about.len()),
        Format::Qcow2 | Format::Vhd => {
            Image::open_as(file, format).ok().map(|image| image.virtual_size_bytes())
        }
    }
}
