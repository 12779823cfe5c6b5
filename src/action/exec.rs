//! `exec`: runs a command in the guest, through the one way that XAPI has. Monitoring tells how it ended.

use super::Caller;
use super::identity::Identity;
use crate::one::{Execution, Message, execution};
use crate::report::{self, Result};
use crate::xe::{PowerState, Uuid, Xe, failed_with, guest_script, vm};
use anyhow::{Context, bail, ensure};

/// Run a command in a VM's guest and wait for its end.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// OpenNebula's number of the VM
    vm_id: u32,
    /// The host the VM is on
    host: String,
    /// The command, as the guest's own shell takes it
    command: String,
    /// What the command should read; XAPI has no way for it
    #[arg(default_value = "")]
    stdin: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    guest_script::check(&args.command)?;
    ensure!(args.stdin.is_empty(), "XAPI has no way to give a command in a guest its standard input");
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(args.vm_id))?;
    let identity = caller.identity(message.as_ref(), Some(args.vm_id));
    let deploy_id = message.map(|message| message.vm.deploy_id).unwrap_or_default();
    let vm = find(&xe, &identity, args.vm_id, deploy_id.parse().ok().as_ref())?;
    identity.check_and_mark(&xe, &vm)?;
    ensure!(vm.power_state == PowerState::Running, "VM {} is {}, not running", vm.uuid, vm.power_state);
    ensure!(
        guest_script::is_offered(&xe, &vm.uuid)?,
        "the guest has no agent that runs commands for XAPI: XenServer's tools for Windows have one \
         (feature-xs-batcmd), the tools for Linux have none"
    );
    execution::forget(args.vm_id);
    let ended = guest_script::run(&xe, &vm.uuid, &args.command, xe.transfer_limit).map_err(explained)?;
    report::info(format!("the command ended with {}", ended.return_code));
    let execution = Execution { return_code: ended.return_code, stdout: ended.stdout, stderr: ended.stderr };
    execution.keep(args.vm_id)?;
    Ok(String::new())
}

/// By OpenNebula's DEPLOY_ID, by hand by the VM's mark.
fn find(xe: &Xe, identity: &Identity, vm_id: u32, deploy_id: Option<&Uuid>) -> Result<vm::Vm> {
    if let Some(uuid) = deploy_id {
        return vm::Vm::find(xe, uuid)?.with_context(|| format!("the pool has no VM {uuid}"));
    }
    let mut ours = identity.records(xe, vm_id)?;
    match (ours.pop(), ours.pop()) {
        (Some(vm), None) => Ok(vm),
        (None, _) => bail!("the pool has no VM of OpenNebula's number {vm_id}"),
        (Some(_), Some(_)) => bail!("VM {vm_id} is in the pool twice"),
    }
}

fn explained(error: anyhow::Error) -> anyhow::Error {
    let words = if failed_with(&error, &["FEATURE_RESTRICTED"]) {
        "the pool does not allow it: xe pool-param-set uuid=… other-config:allow_guest_agent_run_script=true"
    } else if failed_with(&error, &["VM_CALL_PLUGIN_RATE_LIMIT"]) {
        "XAPI asks a guest only every few seconds: try again"
    } else if failed_with(&error, &["NOT_IMPLEMENTED"]) {
        "the guest's agent is not ready for commands"
    } else {
        return error.context("cannot run the command in the guest");
    };
    error.context(format!("cannot run the command in the guest: {words}"))
}
