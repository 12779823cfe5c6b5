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
use std::path::PathBuf;

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
    if let Some(deploy_id) = &args.deploy_id {
        ensure!(
            saved.vm == *deploy_id,
            "the checkpoint {} is of VM {}, not of {deploy_id}",
            path.display(),
            saved.vm
        );
    }
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, identity.vm_id())?;
    let (vm, hosts) = parallel::both(|| vm::Vm::find(&xe, &saved.vm), || Host::all(&xe));
    let hosts = hosts?;
    let host = host::named(&hosts, &args.host)?;
    let Some(vm) = vm? else {
        bail!(
            "the pool has no VM {}, of which {} is the checkpoint: it is suspended in another pool, or gone",
            saved.vm,
            path.display()
        );
    };
    identity.check_and_mark(&xe, &vm)?;
    if vm.is_running_on(&host.uuid) {
        report::info(format!("VM {} runs on {} already", vm.uuid, host.name_label));
        return Ok(String::new());
    }
    check_is_saved(&vm, &saved)?;
    resume(&xe, &vm, host)?;
    if let Some(message) = &message {
        console::open(caller, &conf, &xe, &args.host, &message.vm, &vm.uuid);
    }
    Ok(String::new())
}

/// The memory in the pool must be the one that the checkpoint stands for.
fn check_is_saved(vm: &vm::Vm, saved: &Checkpoint) -> Result<()> {
    match (vm.power_state, &vm.suspend_vdi) {
        (PowerState::Suspended, Some(memory)) if *memory == saved.memory => Ok(()),
        (PowerState::Suspended, _) => {
            bail!("the checkpoint is stale: VM {} has been suspended anew since it was written", vm.uuid)
        }
        (PowerState::Halted, _) => {
            bail!("VM {} is halted: the memory that the checkpoint stands for has been given up", vm.uuid)
        }
        (state, _) => bail!(
            "VM {} is {state}{}: it is not started twice",
            vm.uuid,
            vm.resident_on.as_ref().map(|host| format!(" on host {host}")).unwrap_or_default()
        ),
    }
}

fn resume(xe: &Xe, vm: &vm::Vm, host: &Host) -> Result<()> {
    let Err(error) = xe.run_within(&vm::resume(&vm.uuid, &host.uuid), xe.transfer_limit) else {
        return Ok(());
    };
    let now = vm::Vm::find(xe, &vm.uuid).context("after a failure")?;
    if now.is_some_and(|now| now.is_running_on(&host.uuid)) {
        report::warn(format!("VM {} runs, but: {error:#}", vm.uuid));
        return Ok(());
    }
    Err(not_here(error, &format!("VM {} cannot go on on {}", vm.uuid, host.name_label)))
}
