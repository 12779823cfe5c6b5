//! One action again and again, each time with another of its `xe` calls going wrong.
//!
//! `prepare` and what is checked are the test's; the host is put back as it was prepared before every run, so
//! uuids and paths are the same in all of them.

use super::{Host, Said};
use std::fmt;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How the call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is refused and has done nothing.
    Refused,
    /// It has done its work, and an error is all that comes back.
    AnswerLost,
    /// The driver is told to stop after it.
    Terminated,
    /// The driver is killed after it.
    Killed,
    /// It and all later calls are refused, those among them that would take back what was done.
    RefusedFromThere,
    /// It has done its work, and its answer is not what XAPI sent: `empty`, `short`, `cut` or `junk`.
    Spoilt(&'static str),
}

/// A run of the action of which one call went wrong. The fault is gone again when it is looked at.
pub struct Step {
    /// The call, counted from 1; for `Terminated` and `Killed`, after how many calls it was.
    pub nth: usize,
    pub wrong: Wrong,
    /// What the action said; `code` is none if a signal ended it.
    pub said: Said,
    /// The pool before the action.
    pub before: String,
}

impl fmt::Debug for Step {
    /// Without the pool as it was: where that counts, the test shows what differs from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} {:?}: {:?}", self.nth, self.wrong, self.said)
    }
}

/// Runs the action once for each of its `xe` calls and each of these ways to go wrong, and lets `check` look at
/// the host afterwards. `action` gives the command, ready but for its standard input.
#[track_caller]
pub fn each_call(
    host: &Host,
    ways: &[Wrong],
    action: &dyn Fn(&Host) -> (Command, Vec<u8>),
    check: &dyn Fn(&Host, &Step),
) {
    each(host, action, check, &|_| ways.to_vec());
}

/// As [`each_call`], with one of the ways for each call, in turn: the first call goes wrong in the way at `first`.
#[track_caller]
pub fn each_call_in_turn(
    host: &Host,
    ways: &[Wrong],
    first: usize,
    action: &dyn Fn(&Host) -> (Command, Vec<u8>),
    check: &dyn Fn(&Host, &Step),
) {
    each(host, action, check, &|nth| vec![ways[(first + nth - 1) % ways.len()]]);
}

#[track_caller]
fn each(
    host: &Host,
    action: &dyn Fn(&Host) -> (Command, Vec<u8>),
    check: &dyn Fn(&Host, &Step),
    ways_of: &dyn Fn(usize) -> Vec<Wrong>,
) {
    let kept = host.keep();
    let before = host.dump();
    host.forget_calls();
    finish(start(&action(host))).ok();
    let calls = host.calls().len();
    assert!(calls > 0, "the action asked xe for nothing");
    for nth in 1..=calls {
        for wrong in ways_of(nth) {
            host.put_back(&kept);
            let said = run_once(host, wrong, nth, action);
            host.sim(&["clear"]);
            check(host, &Step { nth, wrong, said, before: before.clone() });
        }
    }
}

/// The check that most actions need: one that failed has changed nothing, and done again it succeeds.
#[track_caller]
pub fn undone_or_done(host: &Host, step: &Step, again: &dyn Fn(&Host) -> Said) {
    if step.said.code != Some(0) {
        host.is_as_after(&step.before, format_args!("{step:?}"));
    }
    let said = again(host);
    assert_eq!(said.code, Some(0), "done again it should succeed: {said:#?} after {step:#?}");
}

fn run_once(host: &Host, wrong: Wrong, nth: usize, action: &dyn Fn(&Host) -> (Command, Vec<u8>)) -> Said {
    let number = nth.to_string();
    let mut fault = vec!["fail", "any", "--nth", &number, "--code", "INTERNAL_ERROR"];
    match wrong {
        Wrong::Refused => {}
        Wrong::AnswerLost => fault.push("--after"),
        Wrong::RefusedFromThere => fault.push("--always"),
        Wrong::Spoilt(how) => fault = vec!["fail", "any", "--nth", &number, "--answer", how],
        Wrong::Terminated | Wrong::Killed => fault = vec!["delay", "any", "20"],
    }
    host.sim(&fault);
    host.forget_calls();
    let mut child = start(&action(host));
    if matches!(wrong, Wrong::Terminated | Wrong::Killed) {
        wait_for_calls(host, &mut child, nth);
        signal(&child, if wrong == Wrong::Killed { "-KILL" } else { "-TERM" });
    }
    let said = finish(child);
    if wrong == Wrong::Killed {
        wait_for_quiet(host);
    }
    said
}

fn start(action: &(Command, Vec<u8>)) -> Child {
    let (command, stdin) = action;
    // A command cannot be cloned, and each run needs its own.
    let mut again = Command::new(command.get_program());
    again.args(command.get_args()).env_clear().stdin(Stdio::piped());
    again.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        again.current_dir(dir);
    }
    let mut child = again.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    super::feed(&mut child, stdin);
    child
}

fn finish(child: Child) -> Said {
    Said::of(&child.wait_with_output().unwrap())
}

/// Waits until that many calls have ended, or the action has. The log is read as the simulator writes it: asking
/// for it each time would cost more than the action.
fn wait_for_calls(host: &Host, child: &mut Child, count: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    let ended = || fs::read_to_string(host.path("pool.log")).map_or(0, |log| log.lines().count());
    while ended() < count && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "only {} calls", ended());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the calls that a killed driver had under way; on a real pool they end by themselves too. All that it
/// started runs in the host's folder.
pub fn wait_for_quiet(host: &Host) {
    let is_here = |process: &fs::DirEntry| {
        fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder == host.dir.path())
    };
    while fs::read_dir("/proc").unwrap().flatten().any(|process| is_here(&process)) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn signal(child: &Child, name: &str) {
    // The driver may have ended meanwhile.
    _ = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
}
