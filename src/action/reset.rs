//! `reset`: restarts the VM without asking its guest.

use super::{Caller, reboot};
use crate::one::Message;
use crate::report::Result;
use crate::xe::{PowerState, vm};
use anyhow::Context;

/// Restart a VM at once, as its reset button would.
#[derive(clap::Args, Debug)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    of: reboot::Args,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.of.vm_id);
    let xe = caller.xe(&conf, &args.of.host)?;
    let _lock = Caller::lock_hard(&xe, identity.vm_id(), Some(&args.of.deploy_id))?;
    let uuid = &args.of.deploy_id;
    // XAPI's hard_reboot takes a paused VM too (xapi_vm_lifecycle.ml `allowed_power_states`).
    reboot::check_state(&xe, &identity, uuid, &[PowerState::Running, PowerState::Paused])?;
    xe.run(&vm::hard_reboot(uuid)).with_context(|| format!("cannot reset VM {uuid}"))?;
    Ok(String::new())
}
