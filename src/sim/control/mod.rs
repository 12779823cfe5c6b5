//! `one-xcp sim …`: makes, breaks and shows the simulated pool.

mod failing;
mod forgetting;
mod guest;

use super::dump::dump;
use super::fault::{self, ALWAYS, Fault, Kind};
use super::init::{self, Options};
use super::log;
use super::seed;
use super::serve;
use super::storage::busy;
use super::store::Store;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use failing::Failing;
use guest::Guest;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Manage the simulated pool whose state file the environment variable `XE_SIM` names.
#[derive(Parser)]
#[command(name = "one-xcp sim", disable_version_flag = true)]
struct Control {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a pool anew: two hosts, shared and local storage, templates, one foreign VM.
    Init(Options),
    /// Let calls of a verb fail.
    Fail(Failing),
    /// Let calls of a verb take longer.
    Delay {
        /// The verb; `any` for all.
        verb: String,
        /// Milliseconds.
        milliseconds: u64,
        /// As a task of XAPI's, which goes on when its client is killed.
        #[arg(long)]
        task: bool,
    },
    /// Let a call of a verb never end.
    Hang {
        /// The verb; `any` for all.
        verb: String,
        /// Which call from now on.
        #[arg(long, default_value_t = 1)]
        nth: u64,
        /// Do the work first.
        #[arg(long)]
        after: bool,
    },
    /// Kill whoever makes a call of a verb (SIGKILL).
    Kill {
        /// The verb; `any` for all.
        verb: String,
        /// Which call from now on.
        #[arg(long, default_value_t = 1)]
        nth: u64,
        /// Do the work first.
        #[arg(long)]
        after: bool,
    },
    /// Restart XAPI's toolstack under a call of a verb.
    Restart {
        /// The verb; `any` for all.
        verb: String,
        /// Which call from now on.
        #[arg(long, default_value_t = 1)]
        nth: u64,
        /// Do the work first.
        #[arg(long)]
        after: bool,
        /// So many later calls find no XAPI.
        #[arg(long, default_value_t = 0)]
        refused: u64,
    },
    /// Set how long a call sleeps at most while another changes the same SR (XAPI: 20000).
    Backoff {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// Show which calls have slept while another changed the same SR: verb and SR.
    Sleeps,
    /// Take all faults and delays away.
    Clear,
    /// Say what the guest in a VM does.
    Guest(Guest),
    /// Show the calls made so far: start and duration in milliseconds, exit status, arguments.
    Log {
        /// Forget them instead.
        #[arg(long)]
        clear: bool,
    },
    /// Let this pool and its clients reach another simulated pool.
    Peer {
        /// The other pool's state file.
        file: PathBuf,
    },
    /// Print the whole state in a stable order.
    Dump,
    /// XAPI writes its database to disk, as it does at most every five minutes.
    Sync,
    /// XAPI is killed, and starts again with what it wrote last; disks and guests do not go back.
    Forget,
    /// Answer as XAPI does over HTTP, until killed: measurements and consoles.
    Serve(serve::Options),
    /// Make a pool anew of the objects that a file describes.
    Seed {
        /// The file: a paragraph for each object.
        file: PathBuf,
    },
}

/// Runs one `sim` command line (`args` begins with its name: `init`, `fail`, …).
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let control = match Control::try_parse_from(std::iter::once("one-xcp sim".into()).chain(args)) {
        Ok(control) => control,
        Err(usage) => {
            let _ = usage.print();
            return if usage.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let shown = run(control.action).and_then(|text| {
        io::stdout().lock().write_all(text.as_bytes()).context("cannot write to standard output")
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "one-xcp sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<String> {
    let store = Store::from_env()?;
    match action {
        Action::Init(options) => init::init(&store, &options)?,
        Action::Fail(failing) => fault::add(&store, failing.fault()?)?,
        Action::Delay { verb, milliseconds, task } => {
            let kind = if task { Kind::Lasts(milliseconds) } else { Kind::Delays(milliseconds) };
            fault::add(&store, Fault { verb, pass: 0, times: ALWAYS, kind })?;
        }
        Action::Hang { verb, nth, after } => {
            let kind = if after { Kind::HangsAfter } else { Kind::Hangs };
            fault::add(&store, Fault { verb, pass: pass(nth)?, times: 1, kind })?;
        }
        Action::Kill { verb, nth, after } => {
            let kind = if after { Kind::KillsCallerAfter } else { Kind::KillsCaller };
            fault::add(&store, Fault { verb, pass: pass(nth)?, times: 1, kind })?;
        }
        Action::Restart { verb, nth, after, refused } => {
            let kind = Kind::Restarts { after, refused };
            fault::add(&store, Fault { verb, pass: pass(nth)?, times: 1, kind })?;
        }
        Action::Backoff { milliseconds } => busy::set_longest(&store, milliseconds)?,
        Action::Sleeps => return Ok(busy::sleeps(&store)),
        Action::Clear => fault::clear(&store)?,
        Action::Guest(guest) => guest.apply(&store)?,
        Action::Log { clear: true } => log::clear(&store)?,
        Action::Log { clear: false } => return log::show(&store),
        Action::Peer { file } => store.add_peer(&file)?,
        Action::Dump => return dump(&store),
        Action::Sync => forgetting::write(&store)?,
        Action::Forget => forgetting::forget(&store)?,
        Action::Serve(options) => serve::run(&store, &options)?,
        Action::Seed { file } => seed::seed(&store, &file)?,
    }
    Ok(String::new())
}

/// How many calls pass before the `nth`.
fn pass(nth: u64) -> Result<u64> {
    nth.checked_sub(1).context("calls are counted from 1")
}
