//! How a VM leaves the pool, the part that `shutdown` and `cancel` share: power off, write back, remove.
//! Nothing is removed before its data is safe.

pub mod discs;
mod imported;
pub mod killed_write_back;
mod leftover;
pub mod power_off;
pub mod remove;
pub mod write_back;

use super::identity::{Identity, Whose};
use super::{Caller, console, moved_disks, vm_folder};
use crate::lock::VmLock;
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::retry::Retry;
use crate::translate::mark;
use crate::xe::vbd::Vbd;
use crate::xe::{Uuid, Xe, vm};
use anyhow::{Context, bail, ensure};

/// The arguments of `shutdown` and `cancel`.
#[derive(clap::Args, Debug)]
pub struct Leaving {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: String,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// What OpenNebula appends: the host once more
    #[arg(hide = true)]
    rest: Vec<String>,
    /// By hand, without OpenNebula's message: remove the VM with its disks and snapshots, which otherwise stay
    #[arg(long)]
    discard: bool,
}

/// Right after a shutdown or an unplug XAPI may still hold a VDI for a moment.
pub const STILL_IN_USE: Retry = Retry { tries: 6, first_pauses: 1 };

/// What OpenNebula puts for a deployment that gave no id.
const NO_DEPLOY_ID: &str = "-";

/// Whether the guest is asked to power off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Gently,
    Hard,
}

pub fn run(caller: &Caller, args: &Leaving, way: Way) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let deploy_id: Option<Uuid> = match args.deploy_id.as_str() {
        NO_DEPLOY_ID => None,
        text => Some(text.parse().context("DEPLOY_ID")?),
    };
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let lock = match way {
        Way::Gently => Caller::lock(&xe, identity.vm_id())?,
        Way::Hard => Caller::lock_hard(&xe, identity.vm_id(), deploy_id.as_ref())?,
    };
    let Some((vm, vbds)) = find(&xe, &identity, deploy_id.as_ref())? else {
        if let Some(uuid) = &deploy_id {
            console::close_all(&xe, identity.vm_id(), uuid);
        }
        if let (Some(uuid), Some(message)) = (&deploy_id, &message) {
            leftover::remove(&xe, uuid, message)?;
        }
        report::info(format!("the pool has no VM {}: nothing to do", args.deploy_id));
        return Ok(String::new());
    };
    let whose = identity.check_and_mark(&xe, &vm)?;
    if message.is_none() {
        check_named_by_hand(&vm, args)?;
    }
    let ends = message.as_ref().is_some_and(|message| message.vm.lcm_state.ends_the_vm());
    if mark::is_original(&vm) && (ends || args.discard) {
        remove::check_allowed(&vm)?;
    }
    // Before the guest is powered off: afterwards there is no way back.
    let vbds = match &message {
        Some(message) if mark::is_original(&vm) => write_back::check(&xe, message, &vm.uuid, vbds)?,
        _ => vbds,
    };
    if let Some(message) = &message {
        write_back::prepare(&conf, message)?;
    }
    match way {
        Way::Gently => power_off::gently(&xe, &conf, &vm, lock.as_ref())?,
        Way::Hard => power_off::at_once(&xe, &vm)?,
    }
    console::close_all(&xe, identity.vm_id(), &vm.uuid);
    let Some(message) = message else {
        return without_message(&xe, &vm, &vbds, args.discard);
    };
    write_back::run(&xe, &conf, &message, &vbds)?;
    if let (true, Ok(folder)) = (mark::is_original(&vm), vm_folder::of(&conf, &message)) {
        moved_disks::follow(&xe, &message.vm, &folder, &vbds)?;
    }
    if let Whose::Imported { .. } = whose {
        return imported::leave(&xe, &vm.uuid, &vbds, !ends).map(|()| String::new());
    }
    if (vm.snapshots > 0 || vm.is_protected) && !ends {
        report::info(format!("VM {} stays in the pool, halted: it {}", vm.uuid, mark::why_kept(&vm)));
        write_back::stamp(&xe, &conf, &message, &vbds);
        return Ok(String::new());
    }
    if vm.snapshots > 0 {
        remove::snapshots(&xe, &vm.uuid)?;
    }
    remove::run(&xe, &vm.uuid, &vbds)?;
    // A disc that a snapshot had was left to it.
    if vm.snapshots > 0 || lock.as_ref().is_some_and(VmLock::follows_a_killed_action) {
        leftover::disc(&xe, &vm.uuid, &message)?;
    }
    Ok(String::new())
}

/// The VM and its VBDs. One that OpenNebula knows by no id, or by one that is gone, is looked for by its mark.
fn find(xe: &Xe, identity: &Identity, deploy_id: Option<&Uuid>) -> Result<Option<(vm::Vm, Vec<Vbd>)>> {
    if let Some(uuid) = deploy_id {
        let (vm, vbds) = parallel::both(|| vm::Vm::find(xe, uuid), || Vbd::of_vm(xe, uuid));
        if let Some(vm) = vm? {
            return Ok(Some((vm, vbds?)));
        }
    }
    let Some(vm_id) = identity.vm_id() else { return Ok(None) };
    let mut left = identity.records(xe, vm_id)?;
    let Some(vm) = left.pop() else { return Ok(None) };
    if let Some(other) = left.pop() {
        bail!(
            "VM {vm_id} is in the pool twice, as {} and {}: name the one that is meant",
            vm.uuid,
            other.uuid
        );
    }
    let vbds = Vbd::of_vm(xe, &vm.uuid)?;
    Ok(Some((vm, vbds)))
}

/// By hand a wrong uuid or number comes easily, and what is removed does not come back.
fn check_named_by_hand(vm: &vm::Vm, args: &Leaving) -> Result<()> {
    ensure!(
        !args.discard || mark::is_original(vm),
        "VM {} was not made for OpenNebula: if nobody wants it nor its disks: xe vm-uninstall uuid={}",
        vm.uuid,
        vm.uuid
    );
    Ok(())
}

/// By hand nobody tells whether the data of disks and snapshots is still wanted: unless said otherwise all of it stays.
fn without_message(xe: &Xe, vm: &vm::Vm, vbds: &[Vbd], discard: bool) -> Result<String> {
    if !discard {
        report::info(format!(
            "VM {} is powered off and stays in the pool with its disks: without OpenNebula's message nobody tells \
             whether their data is wanted (--discard removes them)",
            vm.uuid
        ));
        return Ok(String::new());
    }
    if vm.snapshots > 0 {
        remove::snapshots(xe, &vm.uuid)?;
    }
    remove::run(xe, &vm.uuid, vbds)?;
    Ok(String::new())
}
