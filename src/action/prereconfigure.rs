//! `prereconfigure`: takes the context disc from a running VM, before OpenNebula builds another.

use super::{Caller, context_disc};
use crate::one::Message;
use crate::report::{self, Result};
use crate::xe::Uuid;
use anyhow::Context;

/// Take the context disc from a running VM.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The disc's TARGET, as OpenNebula names it
    #[arg(default_value = "")]
    target: String,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let message = message.context("standard input holds no message that tells which disk is the context")?;
    let identity = caller.identity(Some(&message), args.vm_id);
    let vm = message.vm;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(vm.vm_id))?;
    let Some(disc) = &vm.context else {
        report::info(format!("VM {} has no context disc", vm.vm_id));
        return Ok(String::new());
    };
    let found = context_disc::Found::look_up(&xe, &identity, &args.deploy_id, &vm, disc.disk_id)?;
    for left in &found.left {
        context_disc::destroy(&xe, left);
    }
    if found.devices(disc.disk_id).all(|device| device.vdi_uuid.is_none()) {
        report::info(format!("the context disc of VM {} is out already", vm.vm_id));
    }
    for device in found.devices(disc.disk_id) {
        if let Some(vdi) = &device.vdi_uuid {
            if !found.is_own(vdi) {
                report::warn(format!(
                    "the drive of the context disc holds VDI {vdi}, which is not OpenNebula's"
                ));
                continue;
            }
            context_disc::take_out(&xe, &args.deploy_id, device)?;
            context_disc::destroy(&xe, vdi);
        }
    }
    Ok(String::new())
}
