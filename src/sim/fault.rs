//! Faults set by hand: calls that fail, hang, are slow, lose their answer, or whose caller is killed.

use super::print::Spoilt;
use super::refuse::{Fail, Outcome, Param, internal, refused};
use super::store::Store;
use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid, kill_process};
use std::fs;
use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It fails with this code and these parameters, without having done anything.
    Fails { code: String, params: Vec<String> },
    /// It does its work and then fails.
    FailsAfter { code: String, params: Vec<String> },
    /// It prints what is no answer, and does nothing.
    Garbage,
    /// It never ends, and does nothing.
    Hangs,
    /// It does its work and then never answers.
    HangsAfter,
    /// It takes this many milliseconds more.
    Delays(u64),
    /// XAPI takes this many milliseconds more over it, whether or not the client is still there.
    Lasts(u64),
    /// It does its work and exits with 0; its answer is lost, in part or in whole.
    Spoils(Spoilt),
    /// XAPI's toolstack restarts: its connection breaks, before the work or after it, and so many calls after it are
    /// refused.
    Restarts { after: bool, refused: u64 },
    /// No XAPI is there to answer.
    Refuses,
    /// Whoever called `xe` is killed (SIGKILL), before the call has done anything.
    KillsCaller,
    /// The same when it has done its work.
    KillsCallerAfter,
}

/// A fault: which call of which verb it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The verb; `any` for all of them.
    pub verb: String,
    /// How many calls are still to pass before it strikes.
    pub pass: u64,
    /// How many calls it strikes, one after the other.
    pub times: u64,
    pub kind: Kind,
}

/// The `times` of a fault that stays.
pub const ALWAYS: u64 = u64::MAX;

impl Kind {
    /// The kind in one line.
    pub fn line(&self) -> String {
        let (name, rest) = match self {
            Kind::Fails { code, params } => ("fail", joined(code, params)),
            Kind::FailsAfter { code, params } => ("after", joined(code, params)),
            Kind::Garbage => ("garbage", String::new()),
            Kind::Hangs => ("hang", String::new()),
            Kind::HangsAfter => ("hang-after", String::new()),
            Kind::Delays(limit) => ("delay", limit.to_string()),
            Kind::Lasts(limit) => ("last", limit.to_string()),
            Kind::Spoils(how) => ("answer", how.name().to_owned()),
            Kind::Restarts { after, refused } => {
                (if *after { "restart-after" } else { "restart" }, refused.to_string())
            }
            Kind::Refuses => ("refuse", String::new()),
            Kind::KillsCaller => ("kill", String::new()),
            Kind::KillsCallerAfter => ("kill-after", String::new()),
        };
        format!("{name}\t{rest}\n")
    }

    /// Reads what [`Kind::line`] has written.
    pub fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let name = parts.next()?;
        let first = parts.next()?.to_owned();
        let params = parts.map(str::to_owned).collect();
        let kind = match name {
            "fail" => Kind::Fails { code: first, params },
            "after" => Kind::FailsAfter { code: first, params },
            "garbage" => Kind::Garbage,
            "hang" => Kind::Hangs,
            "hang-after" => Kind::HangsAfter,
            "delay" => Kind::Delays(first.parse().ok()?),
            "last" => Kind::Lasts(first.parse().ok()?),
            "answer" => Kind::Spoils(Spoilt::named(&first)?),
            "restart" => Kind::Restarts { after: false, refused: first.parse().ok()? },
            "restart-after" => Kind::Restarts { after: true, refused: first.parse().ok()? },
            "refuse" => Kind::Refuses,
            "kill" => Kind::KillsCaller,
            "kill-after" => Kind::KillsCallerAfter,
            _ => return None,
        };
        Some(kind)
    }
}

impl Fault {
    fn line(&self) -> String {
        format!("{}\t{}\t{}\t{}", self.verb, self.pass, self.times, self.kind.line())
    }

    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, '\t');
        let verb = parts.next()?.to_owned();
        let pass = parts.next()?.parse().ok()?;
        let times = parts.next()?.parse().ok()?;
        Some(Self { verb, pass, times, kind: Kind::read(parts.next()?)? })
    }
}

fn joined(code: &str, params: &[String]) -> String {
    let mut line = code.to_owned();
    for param in params {
        line.push('\t');
        line.push_str(param);
    }
    line
}

fn load(store: &Store) -> Result<Vec<Fault>> {
    let text = match fs::read_to_string(store.beside(".faults")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.context("cannot read the faults")?,
    };
    let faults: Option<Vec<Fault>> = text.lines().map(Fault::read).collect();
    faults.context("the file of faults is damaged")
}

fn save(store: &Store, faults: &[Fault]) -> Result<()> {
    let path = store.beside(".faults");
    if faults.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    }
    fs::write(path, faults.iter().map(Fault::line).collect::<String>()).context("cannot write the faults")
}

/// Adds a fault.
pub fn add(store: &Store, fault: Fault) -> Result<()> {
    if fault.line().matches('\n').count() != 1 {
        bail!("a fault cannot hold a line break");
    }
    store.alone(|| {
        let mut faults = load(store)?;
        faults.push(fault);
        save(store, &faults)
    })
}

/// Takes all faults away.
pub fn clear(store: &Store) -> Result<()> {
    store.alone(|| save(store, &[]))
}

/// Counts this call of `verb` and gives what strikes it.
pub fn strike(store: &Store, verb: &str) -> Result<Vec<Kind>> {
    if !store.beside(".faults").exists() {
        return Ok(Vec::new());
    }
    store.alone(|| {
        let mut faults = load(store)?;
        let mut struck = Vec::new();
        faults.retain_mut(|fault| {
            if fault.verb != verb && fault.verb != "any" {
                return true;
            }
            if fault.pass > 0 {
                fault.pass -= 1;
                return true;
            }
            struck.push(fault.kind.clone());
            if fault.times != ALWAYS {
                fault.times = fault.times.saturating_sub(1);
            }
            fault.times > 0
        });
        save(store, &faults)?;
        Ok(struck)
    })
}

/// What strikes a call before its work: delays pass, a hang never does, and a failure is given back.
pub fn before(store: &Store, struck: &[Kind]) -> Outcome<Option<&'static str>> {
    for kind in struck {
        match kind {
            Kind::Delays(limit) | Kind::Lasts(limit) => thread::sleep(Duration::from_millis(*limit)),
            Kind::Hangs => return Err(hang(store)),
            Kind::Fails { code, params } => return Err(failure(code, params)),
            Kind::Garbage => return Ok(Some(GARBAGE)),
            Kind::KillsCaller => return Err(kill_caller()),
            Kind::Restarts { after: false, refused } => return Err(restart(store, *refused)?),
            Kind::Refuses => return Err(Fail::Client(REFUSED.into())),
            Kind::Restarts { after: true, .. }
            | Kind::FailsAfter { .. }
            | Kind::HangsAfter
            | Kind::Spoils(_)
            | Kind::KillsCallerAfter => {}
        }
    }
    Ok(None)
}

/// What `xe` says where nobody listens (newcli.ml).
pub const REFUSED: &str = "Error: Connection refused (calling connect )\n";

/// What `xe` says where the connection ends before the answer (newcli.ml).
pub const LOST: &str = "Lost connection to the server.\n";

/// XAPI goes away under the call, and comes back when it has refused so many others.
fn restart(store: &Store, refused: u64) -> Outcome<Fail> {
    if refused > 0 {
        add(store, Fault { verb: "any".to_owned(), pass: 0, times: refused, kind: Kind::Refuses })?;
    }
    Ok(Fail::Client(LOST.into()))
}

/// Kills the program that has called `xe`; nobody is left to read the answer.
fn kill_caller() -> Fail {
    let killed = getppid().map(|caller| kill_process(caller, Signal::KILL));
    match killed {
        Some(Ok(())) => internal("the caller has been killed"),
        _ => Fail::Simulator("cannot kill the caller".to_owned()),
    }
}

/// As long as there is a pool: what nobody ends must not stay on the machine for good.
fn hang(store: &Store) -> Fail {
    while store.beside("").exists() {
        thread::sleep(Duration::from_secs(1));
    }
    internal("the simulated pool is gone")
}

/// What is no answer.
pub const GARBAGE: &str = "\u{1}\u{fffd}uuid ( RO: }{ 0x7f <html> Error 42 ,,,\n\n: : not an answer";

/// What strikes a call after its work.
pub fn after(store: &Store, struck: &[Kind]) -> Outcome<()> {
    if struck.contains(&Kind::HangsAfter) {
        return Err(hang(store));
    }
    if struck.contains(&Kind::KillsCallerAfter) {
        return Err(kill_caller());
    }
    for kind in struck {
        if let Kind::Restarts { after: true, refused } = kind {
            return Err(restart(store, *refused)?);
        }
    }
    let failing = struck.iter().find_map(|kind| match kind {
        Kind::FailsAfter { code, params } => Some(failure(code, params)),
        _ => None,
    });
    failing.map_or(Ok(()), Err)
}

/// How the answer is lost.
pub fn spoilt(struck: &[Kind]) -> Option<Spoilt> {
    struck.iter().find_map(|kind| if let Kind::Spoils(how) = kind { Some(*how) } else { None })
}

fn failure(code: &str, params: &[String]) -> Fail {
    refused(code, params.iter().map(Param::text).collect())
}

/// Writes garbage on standard output.
pub fn write_garbage(garbage: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{garbage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_written() {
        for kind in [
            Kind::Fails { code: "A".into(), params: vec!["1".into(), "two words".into()] },
            Kind::FailsAfter { code: "B".into(), params: vec![] },
            Kind::Garbage,
            Kind::Hangs,
            Kind::HangsAfter,
            Kind::Delays(20),
            Kind::Lasts(30),
            Kind::Spoils(Spoilt::Empty),
            Kind::Spoils(Spoilt::Short),
            Kind::Spoils(Spoilt::Cut),
            Kind::Spoils(Spoilt::Junk),
            Kind::Restarts { after: false, refused: 0 },
            Kind::Restarts { after: true, refused: 3 },
            Kind::Refuses,
            Kind::KillsCaller,
            Kind::KillsCallerAfter,
        ] {
            let fault = Fault { verb: "vm-start".into(), pass: 2, times: ALWAYS, kind };
            let again = Fault::read(fault.line().trim_end_matches('\n')).unwrap();
            assert_eq!(again, fault);
        }
    }
}
