//! The process that does a task's work, while the client waits for its answer.

use super::operation::Operation;
use super::{Running, begin};
use crate::sim::arguments::Command;
use crate::sim::fault::Kind;
use crate::sim::guest;
use crate::sim::refuse::Outcome;
use crate::sim::row::Class;
use crate::sim::store::Store;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt as _;
use std::process::Command as Process;

/// Tells the process that it works for a task, and what strikes the call: the client has counted it.
const STRUCK: &str = "XE_SIM_TASK";

/// What a client has handed over to this process.
pub struct Handed {
    pub struck: Vec<Kind>,
}

impl Handed {
    /// None in a client.
    pub fn from_env() -> Option<Self> {
        let text = std::env::var(STRUCK).ok()?;
        Some(Self { struck: text.lines().filter_map(Kind::read).collect() })
    }

    /// Begins the task, and waits until XAPI would let it at its VM.
    pub fn begin(store: &Store, operation: &Operation) -> Outcome<Running> {
        let running = begin(store, operation)?;
        running.begin_on_vm(store, operation)?;
        Ok(running)
    }
}

/// Whether the call has to wait for something, its SR apart.
fn waits(store: &Store, command: &Command, struck: &[Kind]) -> Result<bool> {
    if struck.iter().any(|kind| matches!(kind, Kind::Lasts(_))) {
        return Ok(true);
    }
    if !Operation::is_on_vm(&command.verb) {
        return Ok(false);
    }
    let pool = store.read()?;
    let operation = Operation::of(&pool, command);
    let listens_not = pool.find(Class::Vm, &operation.vm).is_some_and(guest::ignores_shutdown);
    let is_gentle = ["clean_shutdown", "clean_reboot"].contains(&operation.name);
    let is_in_the_way = operation.is_held_up(&pool) || !operation.to_cancel(&pool).is_empty();
    Ok(is_in_the_way || is_gentle && listens_not)
}

/// Whether the call has to be done by a task.
pub fn is_needed(store: &Store, command: &Command, struck: &[Kind], sr_is_busy: bool) -> Result<bool> {
    // Whoever is to be killed is this process's parent.
    let kills = struck.iter().any(|kind| matches!(kind, Kind::KillsCaller | Kind::KillsCallerAfter));
    Ok(!kills && (sr_is_busy || waits(store, command, struck)?))
}

/// Has this process's call done by a task, and waits for its exit status.
pub fn hand_over(struck: &[Kind]) -> Result<u8> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut process = Process::new(program);
    let mut args = std::env::args_os();
    process.arg0(args.next().unwrap_or_default()).args(args);
    process.env(STRUCK, struck.iter().map(Kind::line).collect::<String>()).process_group(0);
    let ended = process.status().context("cannot begin a task")?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
