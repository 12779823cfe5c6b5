//! `exec_cancel`: gives up the result of a command. OpenNebula calls it only after `exec` has ended, and then the
//! command has ended too.

use super::Caller;
use crate::one::{Message, execution};
use crate::report::{self, Result};

/// Give up the result of a command in a VM's guest.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// OpenNebula's number of the VM
    vm_id: u32,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    Message::from_stdin()?;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(args.vm_id))?;
    execution::forget(args.vm_id);
    report::info(format!("the last command in VM {} has ended; its result is given up", args.vm_id));
    Ok(String::new())
}
