//! `resize_disk`: grows a disk of a running VM, where its SR can do that.

use super::Caller;
use super::hotplug;
use super::identity::Identity;
use super::suspending::find;
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::translate::memory::MIB;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Call, Uuid, Xe, failed_with};
use anyhow::{Context, anyhow, bail};

/// Grow a disk of a running VM.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// OpenNebula's number of the disk
    disk_id: u32,
    /// The size it is to have, in MB
    size_mb: u32,
    /// OpenNebula's message once more, in base64
    #[arg(hide = true, default_value = "")]
    message: String,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// What OpenNebula appends: the host once more
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Nothing is taken back, as nothing can be made smaller: the only change is the last step.
pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = if args.message.is_empty() {
        Message::from_stdin()?
    } else {
        Some(hotplug::message(Some(&args.message))?)
    };
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, identity.vm_id())?;
    let vdi = vdi_of(&xe, &identity, args)?;
    let wanted_bytes = u64::from(args.size_mb) * MIB;
    if vdi.virtual_size_bytes >= wanted_bytes {
        report::info(format!("disk {} has {} MB already", args.disk_id, vdi.virtual_size_bytes / MIB));
        return Ok(String::new());
    }
    let Some(grow) = growing(&vdi, wanted_bytes) else {
        return Err(cannot_while_in_use(args.disk_id, &vdi));
    };
    let Err(error) = xe.run(&grow) else { return Ok(String::new()) };
    // Its size tells what the answer does not.
    if Vdi::find(&xe, &vdi.uuid)?.is_some_and(|now| now.virtual_size_bytes >= wanted_bytes) {
        report::warn(format!("disk {} has grown, but: {error:#}", args.disk_id));
        return Ok(String::new());
    }
    if failed_with(&error, &["MESSAGE_REMOVED", "VDI_IN_USE", "SR_OPERATION_NOT_SUPPORTED"]) {
        return Err(error.context(cannot_while_in_use(args.disk_id, &vdi)));
    }
    Err(error).with_context(|| format!("cannot grow disk {} to {} MB", args.disk_id, args.size_mb))
}

fn vdi_of(xe: &Xe, identity: &Identity, args: &Args) -> Result<Vdi> {
    let (vm, vbds) = parallel::both(|| find(xe, &args.deploy_id), || Vbd::of_vm(xe, &args.deploy_id));
    identity.check_and_mark(xe, &vm?)?;
    let vbds = vbds?;
    let Some(vbd) = vbds.iter().find(|vbd| mark::disk_id(vbd) == Some(args.disk_id)) else {
        bail!("VM {} has no disk {} in the pool", args.deploy_id, args.disk_id)
    };
    let uuid =
        vbd.vdi_uuid.as_ref().with_context(|| format!("the drive of disk {} is empty", args.disk_id))?;
    Vdi::find(xe, uuid)?.with_context(|| format!("VDI {uuid} of disk {} is gone", args.disk_id))
}

/// The call that XAPI says it would take now.
fn growing(vdi: &Vdi, size_bytes: u64) -> Option<Call> {
    if vdi.allows("resize") {
        Some(vdi::resize(&vdi.uuid, size_bytes))
    } else if vdi.allows("resize_online") {
        Some(vdi::resize_online(&vdi.uuid, size_bytes))
    } else {
        None
    }
}

fn cannot_while_in_use(disk_id: u32, vdi: &Vdi) -> anyhow::Error {
    anyhow!(
        "disk {disk_id} cannot grow while the VM runs: the XAPI of this pool resizes no VDI of SR {} in use; \
         power the VM off, resize the disk and resume",
        vdi.sr_uuid
    )
}
