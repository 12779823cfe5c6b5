//! `snapshot_delete`: removes a snapshot with its VDIs and its memory.

use super::Caller;
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::snapshot::{self, Snapshot};
use crate::xe::vbd::{self, Kind, Vbd};
use crate::xe::{Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};

/// Remove a snapshot of a VM.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    pub deploy_id: Uuid,
    /// The snapshot's HYPERVISOR_ID, its uuid in XAPI
    pub snapshot: String,
    /// OpenNebula's number of the VM
    pub vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    pub host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let uuid = uuid(&args.snapshot)?;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, identity.vm_id())?;
    let (vm, found) = parallel::both(|| vm::Vm::find(&xe, &args.deploy_id), || Snapshot::find(&xe, &uuid));
    if let Some(vm) = vm? {
        identity.check_and_mark(&xe, &vm)?;
    }
    let Some(found) = found? else {
        report::info(format!("the pool has no snapshot {uuid}: nothing to do"));
        return Ok(String::new());
    };
    check_is_of(&found, &args.deploy_id)?;
    remove(&xe, &uuid)?;
    Ok(String::new())
}

/// The VBDs of a snapshot that hold discs of its VM. XAPI makes no copies of discs, and would take the VM's own
/// with the snapshot where the VM's drive had `owner`, as earlier releases of the driver made it (xapi_vm_clone.ml,
/// cli_operations.ml:4188).
pub fn shared_discs(xe: &Xe, snapshot: &Uuid) -> Result<Vec<Vbd>> {
    let is_owned = |vbd: &Vbd| vbd.kind == Kind::Cd && vbd.other_config(mark::OWNER).is_some();
    Ok(Vbd::of_vm(xe, snapshot)?.into_iter().filter(is_owned).collect())
}

/// Removes a snapshot with its VDIs and its memory, and not the discs that its VM has.
///
/// Where the call fails, the pool tells whether it has done its work.
pub fn remove(xe: &Xe, uuid: &Uuid) -> Result<()> {
    for shared in shared_discs(xe, uuid)? {
        xe.run(&vbd::disown(&shared.uuid))?;
    }
    uninstall(xe, uuid)
}

/// As [`remove`], of a snapshot in whose drives no discs of the VM are.
pub fn uninstall(xe: &Xe, uuid: &Uuid) -> Result<()> {
    let Err(error) = xe.run(&snapshot::uninstall(uuid)) else { return Ok(()) };
    if Snapshot::find(xe, uuid)?.is_none() {
        report::warn(format!("snapshot {uuid} is gone, but: {error:#}"));
        return Ok(());
    }
    Err(error).with_context(|| format!("cannot remove snapshot {uuid}"))
}

/// OpenNebula keeps whatever the driver answered for the snapshot's id.
pub fn uuid(hypervisor_id: &str) -> Result<Uuid> {
    match hypervisor_id.parse() {
        Ok(uuid) => Ok(uuid),
        Err(_) => bail!("{hypervisor_id:?} is the id of no XAPI snapshot"),
    }
}

/// A snapshot of another VM is never touched.
pub fn check_is_of(snapshot: &Snapshot, vm: &Uuid) -> Result<()> {
    ensure!(snapshot.of.as_ref() == Some(vm), "snapshot {} is not one of VM {vm}", snapshot.uuid);
    Ok(())
}
