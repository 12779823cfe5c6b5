//! `restore`: lets a VM go on that `save` has suspended, on whichever host of the pool OpenNebula says.

use super::checkpoint::{self, Checkpoint};
use super::suspending::not_here;
use super::{Caller, console};
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::xe::host::{self, Host};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};
use std::path::{Path, PathBuf};

/// Let a suspended VM go on.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file that `save` left
    checkpoint_file: PathBuf,
    /// The host the VM is to go on on
    host: String,
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Option<Uuid>,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// What OpenNebula appends: the host once more
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let path = checkpoint::path(&conf, message.as_ref(), &args.checkpoint_file)?;
    let saved = Checkpoint::load(&path)?;
    let uuid = vm_of(&path, saved.as_ref(), args.deploy_id.as_ref())?;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, identity.vm_id())?;
    let (vm, hosts) = parallel::both(|| vm::Vm::find(&xe, &uuid), || Host::all(&xe));
    let hosts = hosts?;
    let host = host::named(&hosts, &args.host)?;
    let vm = vm?.with_context(|| {
        format!("the pool has no VM {uuid}: it is suspended in another pool, or gone ({})", path.display())
    })?;
    identity.check_and_mark(&xe, &vm)?;
    if !wake(&xe, &vm, saved.as_ref(), host)? {
        return Ok(String::new());
    }
    if let Some(message) = &message {
        console::open(caller, &conf, &xe, &args.host, &message.vm, &vm.uuid);
    }
    Ok(String::new())
}

/// The VM that is meant: of the checkpoint, or where somebody else suspended it, and `save` left none, that of
/// OpenNebula.
fn vm_of(path: &Path, saved: Option<&Checkpoint>, deploy_id: Option<&Uuid>) -> Result<Uuid> {
    match (saved, deploy_id) {
        (Some(saved), Some(deploy_id)) => {
            let (path, vm) = (path.display(), &saved.vm);
            ensure!(vm == deploy_id, "the checkpoint {path} is of VM {vm}, not of {deploy_id}");
            Ok(vm.clone())
        }
        (Some(saved), None) => Ok(saved.vm.clone()),
        (None, Some(deploy_id)) => Ok(deploy_id.clone()),
        (None, None) => bail!("there is no checkpoint {}, and no DEPLOY_ID", path.display()),
    }
}

/// Lets the VM go on, whoever has suspended or paused it. False: it runs already.
///
/// What the pool has of a suspended VM is its newest memory, also where somebody has suspended it anew after `save`: its
/// disks go with no other.
fn wake(xe: &Xe, vm: &vm::Vm, saved: Option<&Checkpoint>, host: &Host) -> Result<bool> {
    match vm.power_state {
        PowerState::Running if vm.is_running_on(&host.uuid) => {
            report::info(format!("VM {} runs on {} already", vm.uuid, host.name_label));
            return Ok(false);
        }
        PowerState::Suspended => {
            let memory = vm.suspend_vdi.as_ref();
            if saved.is_none_or(|saved| Some(&saved.memory) != memory) {
                report::warn(format!(
                    "VM {} was suspended by somebody else, or its checkpoint is lost: it goes on from the memory in the pool",
                    vm.uuid
                ));
            }
            resume(xe, vm, host)?;
        }
        PowerState::Paused if vm.resident_on.as_ref() == Some(&host.uuid) => {
            report::warn(format!("VM {} was paused by somebody: it goes on", vm.uuid));
            let unpaused = xe.run(&vm::unpause(&vm.uuid));
            check_runs(xe, vm, host, unpaused)?;
        }
        PowerState::Halted => {
            bail!("VM {} is halted: its memory has been given up, and deploying it starts it anew", vm.uuid)
        }
        state => bail!(
            "VM {} is {state}{}: it is not started twice",
            vm.uuid,
            vm.resident_on.as_ref().map(|host| format!(" on host {host}")).unwrap_or_default()
        ),
    }
    Ok(true)
}

fn resume(xe: &Xe, vm: &vm::Vm, host: &Host) -> Result<()> {
    check_runs(xe, vm, host, xe.run_within(&vm::resume(&vm.uuid, &host.uuid), xe.transfer_limit))
}

/// After a failure the VM's state decides.
fn check_runs(xe: &Xe, vm: &vm::Vm, host: &Host, answer: Result<String>) -> Result<()> {
    let Err(error) = answer else { return Ok(()) };
    let now = vm::Vm::find(xe, &vm.uuid).context("after a failure")?;
    if now.is_some_and(|now| now.is_running_on(&host.uuid)) {
        report::warn(format!("VM {} runs, but: {error:#}", vm.uuid));
        return Ok(());
    }
    Err(not_here(error, &format!("VM {} cannot go on on {}", vm.uuid, host.name_label)))
}
