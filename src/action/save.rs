//! `save`: suspends the VM, its memory into XAPI's suspend SR, and leaves a checkpoint file for `restore`.
//! The disks stay in the pool, as the memory fits only them; persistent ones are in their files as well.

use super::checkpoint::{self, Checkpoint, Place};
use super::leave::write_back;
use super::suspending::{find, is_not_running, refusal};
use super::{Caller, console, vm_folder};
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::undo::Undo;
use crate::xe::host::{self, Host};
use crate::xe::{PowerState, Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};
use std::path::PathBuf;

/// Suspend a VM; its memory goes to the pool's suspend SR.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The file that `restore` will be given
    checkpoint_file: PathBuf,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
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
    let xe = caller.xe(&conf, &args.host)?;
    let lock = Caller::lock(&xe, identity.vm_id())?;
    if let Some(message) = &message {
        vm_folder::make(&conf, message)?;
    }
    let place = Place::make(path)?;
    let vm = find(&xe, &args.deploy_id)?;
    identity.check_and_mark(&xe, &vm)?;
    let undo = Undo::new(&xe);
    let suspended = match vm.power_state {
        PowerState::Running => {
            if let Some(to) = message.as_ref().and_then(|message| message.vm.cold_migration_to()) {
                check_destination(&xe, &vm, to)?;
            }
            suspend(&xe, &undo, &vm)?
        }
        PowerState::Suspended => {
            report::info(format!("VM {} is suspended already", vm.uuid));
            vm
        }
        _ => bail!("{}: it cannot be suspended", is_not_running(&vm)),
    };
    if let Some(message) = &message {
        write_back::of_suspended(&xe, &conf, message, &suspended.uuid, lock.as_ref())?;
    }
    let memory = suspended.suspend_vdi.context("XAPI tells of no VDI with the VM's memory")?;
    place.write(&Checkpoint { vm: suspended.uuid.clone(), memory })?;
    undo.keep();
    console::close(&suspended.uuid);
    Ok(String::new())
}

/// A VM that could not go on where a cold migration takes it would stay suspended, and OpenNebula has no way back.
fn check_destination(xe: &Xe, vm: &vm::Vm, to: &str) -> Result<()> {
    let (hosts, possible) = parallel::both(|| Host::all(xe), || vm::possible_hosts(xe, &vm.uuid));
    let (hosts, possible) = (hosts?, possible?);
    let host = host::named(&hosts, to)?;
    ensure!(
        possible.contains(&host.uuid),
        "VM {} stays where it is: XAPI does not let it go on on {to} (storage, networks, memory or CPUs: xe \
         diagnostic-vm-status uuid={0} tells which); a live migration takes disks on local storage along",
        vm.uuid
    );
    Ok(())
}

/// Where the call fails, the VM's state tells whether it has done its work.
fn suspend(xe: &Xe, undo: &Undo<'_>, vm: &vm::Vm) -> Result<vm::Vm> {
    undo.by(match &vm.resident_on {
        Some(host) => vm::resume(&vm.uuid, host),
        None => vm::resume_anywhere(&vm.uuid),
    });
    let called = xe.run_within(&vm::suspend(&vm.uuid), xe.transfer_limit);
    let now = find(xe, &vm.uuid)?;
    match called {
        _ if now.power_state == PowerState::Suspended => Ok(now),
        Ok(_) => {
            bail!("cannot suspend VM {}: XAPI says that it has, and that it is {}", vm.uuid, now.power_state)
        }
        Err(error) => {
            let why = refusal(&error).map_or(String::new(), |why| format!(": {why}"));
            Err(error).with_context(|| format!("cannot suspend VM {}{why}", vm.uuid))
        }
    }
}
