//! A simulated XAPI pool behind the command line of `xe`.

mod arguments;
mod call;
pub mod control;
pub mod disk_bytes;
mod documented;
mod dump;
mod fault;
mod fields;
mod filter;
mod guest;
mod init;
mod lifecycle;
mod listed;
mod log;
mod login;
mod param;
mod pool;
mod print;
mod refuse;
mod row;
mod seed;
mod select;
mod sequence;
mod serve;
mod storage;
mod store;
mod task;
mod verbs;

use arguments::{Client, Command, Request};
use call::Call;
use print::Printer;
use refuse::{Fail, Outcome};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use store::Store;
use task::Handed;
use task::operation::Operation;

/// Answers one `xe` command line (`args` without the program's name).
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<String> = args.map(text_of).collect();
    let store = match Store::from_env() {
        Ok(store) => store,
        Err(error) => return ended(fail(&Fail::from(error), false)),
    };
    let entry = log::Entry::begin(&args);
    let extra = std::env::var("XE_EXTRA_ARGS").unwrap_or_default();
    let home = std::env::var_os("HOME").unwrap_or_default();
    let defaults = arguments::defaults(Path::new(&home)).unwrap_or_else(|complaint| {
        write(&mut io::stderr(), complaint);
        Vec::new()
    });
    let status = match arguments::client(&args, &extra, &defaults) {
        Client::Version => write(&mut io::stdout(), "ThinCLI protocol: 0.2\n"),
        Client::Usage(complaint) => write(&mut io::stderr(), &(complaint + &arguments::usage("xe"))),
        Client::Fails(text) => fail(&Fail::Client(text), false),
        Client::Asks(request) => ask(&store, &request),
    };
    // A call is logged once, by its client.
    if store.path().exists()
        && Handed::from_env().is_none()
        && let Err(error) = entry.end(&store, status)
    {
        return ended(fail(&Fail::from(error), false));
    }
    ended(status)
}

/// Bytes that are no text become a character that XAPI refuses like them.
fn text_of(arg: OsString) -> String {
    arg.into_string().unwrap_or_else(|arg| arg.to_string_lossy().replace('\u{fffd}', "\u{1}"))
}

fn ended(status: u8) -> ExitCode {
    ExitCode::from(status)
}

fn write(to: &mut dyn io::Write, text: &str) -> u8 {
    u8::from(to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_err())
}

/// Prints why a call fails.
fn fail(fail: &Fail, trace: bool) -> u8 {
    let said = fail.said(trace);
    write(&mut io::stdout(), &said.stdout);
    write(&mut io::stderr(), &said.stderr);
    1
}

/// The server's part: reads the words, lets the user in, runs the verb.
fn ask(store: &Store, request: &Request) -> u8 {
    let other = request.server.as_ref().and_then(|server| store.peer_with_host(server));
    let command = match login::reach(other.as_ref().unwrap_or(store), request)
        .and_then(|()| Command::parse(&request.words))
    {
        Ok(command) => command,
        Err(reason) => return fail(&reason, false),
    };
    let minimal = command.get("minimal").is_some_and(|value| value == "true");
    let trace = command.flag("trace", false).unwrap_or(false);
    let mut call = Call { command, out: Printer::new(minimal), keep: false };
    match answer(store, other.as_ref().unwrap_or(store), request, &mut call) {
        Ok(Answered::Here) => u8::from(call.out.finish().is_err()),
        Ok(Answered::ByTask(status)) => status,
        Err(reason) => {
            if !minimal && call.out.flush().is_err() {
                return 1;
            }
            fail(&reason, trace)
        }
    }
}

/// Who has printed the answer.
enum Answered {
    /// It is still to be printed.
    Here,
    /// The process that did the work, which ended with this status.
    ByTask(u8),
}

/// Faults are those of the pool that `XE_SIM` names, whichever pool is asked.
fn answer(home: &Store, store: &Store, request: &Request, call: &mut Call) -> Outcome<Answered> {
    let name = call.command.verb.clone();
    if name == "help" {
        verbs::help(call);
        return Ok(Answered::Here);
    }
    let called = call::find(&name).ok_or_else(|| Fail::NoCommand(name.clone()))?;
    called.check(&call.command)?;
    login::check(store, request)?;
    let handed = Handed::from_env();
    let struck = match &handed {
        Some(handed) => handed.struck.clone(),
        None => fault::strike(home, &name)?,
    };
    let (_task, _busy) = if handed.is_some() {
        let operation = Operation::of(&store.read()?, &call.command);
        (Some(Handed::begin(store, &operation)?), storage::busy::begin(store, &call.command)?)
    } else {
        let free = storage::busy::try_begin(store, &call.command)?;
        if task::is_needed(store, &call.command, &struck, free.is_none())? {
            drop(free);
            return Ok(Answered::ByTask(task::hand_over(&struck)?));
        }
        let busy = free.map_or_else(|| storage::busy::begin(store, &call.command), Ok)?;
        (None, busy)
    };
    if let Some(garbage) = fault::before(home, &struck)? {
        fault::write_garbage(garbage).map_err(|error| Fail::Simulator(error.to_string()))?;
        return Ok(Answered::ByTask(0));
    }
    call.out.spoilt = fault::spoilt(&struck);
    called.run(store, call)?;
    let after = fault::after(home, &struck);
    if after.is_err() {
        call.out = Printer::new(true);
    }
    after.map(|()| Answered::Here)
}
