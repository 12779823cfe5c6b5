//! The program behind a VM's console; it is told on standard input what it is for.

use super::Caller;
use crate::console::{self, Console, Serving};
use crate::report::Result;
use anyhow::Context;
use std::env;
use std::ffi::OsString;
use std::io::{Read, stdin};
use std::path::PathBuf;

/// The subcommand that is this program.
pub const NAME: &str = console::RELAY;

/// Standard input is a few short lines.
const MAX_BYTES: u64 = 4096;

/// Whether this is the command line of a relay, and which link it serves: `one-xcp [--called-as LINK] console_relay
/// VM_ID`, the number for people who look at the list of processes.
///
/// It is not for the parser of the others: a relay idles for days in all the memory that it has once touched, and
/// that parser takes 1 MB.
pub fn called_as(args: &[OsString]) -> Option<PathBuf> {
    match args {
        [_, name, _] if name == NAME => Some(env::current_exe().unwrap_or_default()),
        [_, option, link, name, _] if option == "--called-as" && name == NAME => Some(link.into()),
        _ => None,
    }
}

pub fn run(caller: &Caller) -> Result<String> {
    let mut text = String::new();
    stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
    let console = Console::read(&text)?;
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &console.host)?;
    let xapi = caller.xapi(&conf, &console.host)?.context("XAPI_SOCKET is set to nothing")?;
    console::run(Serving { console, xapi, xe })?;
    Ok(String::new())
}
