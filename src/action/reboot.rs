//! `reboot`: asks the guest to restart.

use super::Caller;
use super::identity::Identity;
use super::in_progress::{GuestRequest, Operation};
use super::leave::power_off::{NO_GUEST_TOOLS, NOT_IN_TIME};
use super::suspending::{find, is_not_running};
use crate::one::Message;
use crate::report::Result;
use crate::xe::{PowerState, Uuid, Xe, failed_with, outcome_unknown, vm};
use anyhow::{Context, bail};

/// Restart a VM through its guest.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    pub deploy_id: Uuid,
    /// The host the VM is on
    #[arg(default_value = "")]
    pub host: String,
    /// OpenNebula's number of the VM
    pub vm_id: Option<u32>,
    /// What OpenNebula appends: the host once more
    #[arg(hide = true)]
    pub rest: Vec<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let limit = conf.seconds("SHUTDOWN_TIMEOUT", 180)?;
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let xe = caller.xe(&conf, &args.host)?;
    let lock = Caller::lock(&xe, identity.vm_id())?;
    check_state(&xe, &identity, &args.deploy_id, &[PowerState::Running])?;
    let uuid = &args.deploy_id;
    let request = GuestRequest::begin(uuid, Operation::CleanReboot, lock.as_ref());
    let asked = xe.run_until_stopped(&vm::clean_reboot(uuid), limit);
    if let Err(error) = &asked
        && (xe.stop.check().is_err() || outcome_unknown(error))
    {
        request.end(&xe);
    }
    if let Some(lock) = &lock {
        lock.clear_note();
    }
    let Err(error) = asked else { return Ok(String::new()) };
    let why = if failed_with(&error, &NO_GUEST_TOOLS) {
        ": the guest has no running guest tools to be asked through; reset it (reboot --hard)".to_owned()
    } else if outcome_unknown(&error) || failed_with(&error, &NOT_IN_TIME) {
        format!(": the guest did not restart within {} s; reset it (reboot --hard)", limit.as_secs())
    } else {
        String::new()
    };
    Err(error).with_context(|| format!("cannot reboot VM {uuid}{why}"))
}

/// Only a VM in one of these states can restart.
pub fn check_state(xe: &Xe, identity: &Identity, uuid: &Uuid, states: &[PowerState]) -> Result<()> {
    let there = find(xe, uuid)?;
    identity.check_and_mark(xe, &there)?;
    if !states.contains(&there.power_state) {
        bail!("{}: there is nothing to restart", is_not_running(&there));
    }
    Ok(())
}
