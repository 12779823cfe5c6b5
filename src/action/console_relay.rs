//! The program behind a VM's console; it is told on standard input what it is for.

use super::Caller;
use crate::console::{self, Console, Serving};
use crate::report::Result;
use anyhow::Context;
use std::io::{Read, stdin};

/// The subcommand that is this program.
pub const NAME: &str = console::RELAY;

/// Standard input is a few short lines.
const MAX_BYTES: u64 = 4096;

/// The relay that actions and the monitoring client leave behind.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// OpenNebula's number of the VM, for people who look at the list of processes
    #[arg(hide = true)]
    vm_id: u32,
}

pub fn run(caller: &Caller, _args: &Args) -> Result<String> {
    let mut text = String::new();
    stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
    let console = Console::read(&text)?;
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &console.host)?;
    let xapi = caller.xapi(&conf, &console.host)?.context("XAPI_SOCKET is set to nothing")?;
    console::run(Serving { console, xapi, xe })?;
    Ok(String::new())
}
