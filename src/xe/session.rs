//! How `xe` is called: where, as whom, for how long, and when once more.

use super::{Call, Restart, ServerCheck, Shared, SrTurns, XeError};
use crate::process;
use crate::report::{self, Result};
use crate::retry::Retry;
use crate::signal::Stop;
use crate::ssh;
use anyhow::{Context, anyhow, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Codes whose parameter names the coordinator to ask instead (a pool member over TCP, xapi_cli.ml:57).
const ASK_THE_COORDINATOR: &str = "HOST_IS_SLAVE";

/// The `xe` program, and the XAPI it talks to.
pub struct Xe {
    pub program: PathBuf,
    /// Whom to ask over the network; none: the XAPI of this host, over its local socket.
    pub server: Mutex<Option<String>>,
    /// What makes a `server` good; none: nobody looks.
    pub server_check: Option<Arc<ServerCheck>>,
    /// User name and password on two lines; for a `server`.
    pub password_file: Option<PathBuf>,
    /// The file that tells which host this program runs on; none: it runs elsewhere.
    pub inventory: Option<PathBuf>,
    /// The host whose `xe` is run over ssh; none: the `xe` of this machine.
    pub bridge: Option<String>,
    /// For one call; XAPI itself may wait for hours (xapi helpers.ml:1740).
    pub limit: Duration,
    /// For one disk's bytes.
    pub transfer_limit: Duration,
    /// Print each call and its time.
    pub verbose: bool,
    /// Whether XAPI is waited for where it goes away.
    pub restart: Restart,
    /// Pauses between the tries of a call that something passing stands in the way of.
    pub retry: Retry,
    pub stop: Stop,
    /// Lists of the whole pool are shared with other programs that ask for the same.
    pub shared: Option<Shared>,
    /// Whose turn it is on an SR.
    pub sr_turns: SrTurns,
}

impl Xe {
    /// The XAPI of another pool, over the network.
    #[must_use]
    pub fn of_other_pool(&self, server: &str, password_file: PathBuf) -> Xe {
        Xe {
            program: self.program.clone(),
            server: Mutex::new(Some(server.to_owned())),
            server_check: self.server_check.clone(),
            password_file: Some(password_file),
            limit: self.limit,
            transfer_limit: self.transfer_limit,
            verbose: self.verbose,
            restart: self.restart.of_other(),
            retry: self.retry,
            stop: self.stop.clone(),
            shared: None,
            sr_turns: SrTurns::of_this_user(),
            bridge: None,
            inventory: None,
        }
    }

    /// Whether it is this machine's own XAPI that is asked.
    pub fn is_of_this_host(&self) -> bool {
        self.bridge.is_none() && self.server.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Runs the call and gives back what it printed, without the final line break.
    pub fn run(&self, call: &Call) -> Result<String> {
        self.stop.check().with_context(|| format!("before {call}"))?;
        self.run_stopped_or_not(call, self.limit)
    }

    /// As [`Xe::run`] with a time limit of its own, for calls that wait for a guest.
    pub fn run_within(&self, call: &Call, limit: Duration) -> Result<String> {
        self.stop.check().with_context(|| format!("before {call}"))?;
        self.run_stopped_or_not(call, limit)
    }

    /// As [`Xe::run_within`], for a call that may be given up half way: it ends when this program is told to stop.
    pub fn run_until_stopped(&self, call: &Call, limit: Duration) -> Result<String> {
        self.stop.check().with_context(|| format!("before {call}"))?;
        let ask = || {
            let mut command = self.command(call)?;
            let start = Instant::now();
            let said = process::output_from(&mut command, Stdio::null(), limit, Some(self.stop.flag()));
            text(call, self.answer_in(call, start, said)?)
        };
        self.retry.run(ask, |error| may_ask_again(call, error))
    }

    /// As [`Xe::run`], even after this program was told to stop: for taking back what was done. The call may be made
    /// twice: where the connection breaks under it, it is.
    pub fn undo(&self, call: &Call) -> Result<String> {
        match self.run_stopped_or_not(call, self.limit) {
            Err(error) if super::xe_error(&error).is_some_and(XeError::is_lost_connection) => {
                self.run_stopped_or_not(call, self.limit)
            }
            other => other,
        }
    }

    /// Runs a call that `xe` wants a secret for: it goes through the child's environment, where no other user
    /// of this machine can see it (xapi newcli.ml:284).
    pub fn run_with_secret(&self, call: &Call, key: &str, secret: &str, limit: Duration) -> Result<String> {
        self.stop.check().with_context(|| format!("before {call}"))?;
        // xe drops every backslash there (newcli.ml:300).
        ensure!(!secret.contains(['\\', '\n']), "{key} holds a backslash, which xe cannot take in a secret");
        let ask = || {
            let mut command = self.command(call)?;
            command.env("XE_EXTRA_ARGS", format!("{key}={}", secret.replace(',', "\\,")));
            text(call, self.answer_of(call, &mut command, limit)?)
        };
        self.retry.run(ask, |error| may_ask_again(call, error))
    }

    fn run_stopped_or_not(&self, call: &Call, limit: Duration) -> Result<String> {
        text(call, self.bytes(call, limit)?)
    }

    pub(super) fn bytes(&self, call: &Call, limit: Duration) -> Result<Vec<u8>> {
        let asked = self.retry.run(|| self.run_once(call, limit), |error| may_ask_again(call, error));
        let asked = match asked {
            Err(error) if self.restart.is_waited_for(&error) => {
                self.restart.wait(|| self.run_once(call, limit))
            }
            other => other,
        };
        match asked {
            Err(error) if self.turns_to_coordinator(&error) => {
                self.retry.run(|| self.run_once(call, limit), |error| may_ask_again(call, error))
            }
            other => other,
        }
    }

    /// Asks for a single value.
    pub fn ask<T: std::str::FromStr<Err: Into<anyhow::Error>>>(&self, call: &Call) -> Result<T> {
        let answer = self.run(call)?;
        answer.trim().parse().map_err(Into::into).with_context(|| format!("{call} answered something else"))
    }

    fn run_once(&self, call: &Call, limit: Duration) -> Result<Vec<u8>> {
        let _turn = self.sr_turns.take(call, &self.stop);
        let answer = self.answer_of(call, &mut self.command(call)?, limit)?;
        self.sr_turns.learn_from(call, &answer);
        Ok(answer)
    }

    fn answer_of(&self, call: &Call, command: &mut Command, limit: Duration) -> Result<Vec<u8>> {
        let start = Instant::now();
        self.answer_in(call, start, process::output(command, limit))
    }

    /// The answer in what `xe` printed.
    fn answer_in(&self, call: &Call, start: Instant, said: Result<process::Output>) -> Result<Vec<u8>> {
        let said = said.with_context(|| call.to_string())?;
        self.tell(call, start, said.status.success());
        if !said.status.success() {
            let error = XeError::parse(&String::from_utf8_lossy(&said.stderr));
            if error.code.is_some() {
                self.restart.answered();
            }
            return Err(anyhow!(error)).with_context(|| call.to_string());
        }
        self.restart.answered();
        let mut answer = said.stdout;
        if answer.last() == Some(&b'\n') {
            answer.pop();
        }
        Ok(answer)
    }

    /// The command line: codes asked for with `--trace`, no secret on it.
    pub(super) fn command(&self, call: &Call) -> Result<Command> {
        let arguments = call.arguments().with_context(|| call.to_string())?;
        if let Some(bridge) = &self.bridge {
            return Ok(self.over_ssh(bridge, arguments));
        }
        let mut command = Command::new(&self.program);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(server) = server {
            self.server_check.as_ref().map_or(Ok(()), |check| check.check(&server))?;
            command.arg("-s").arg(server);
            if let Some(file) = &self.password_file {
                command.arg("-pwf").arg(file);
            }
        }
        command.args(arguments).arg("--trace").env("LC_ALL", "C");
        Ok(command)
    }

    /// The same command line, run by `bridge`, whose XAPI asks for no password. sshd gives its programs a socket
    /// as standard input, which cannot be opened by name as `xe` does: `cat` makes a pipe of it.
    fn over_ssh(&self, bridge: &str, arguments: Vec<String>) -> Command {
        let takes_bytes = arguments.iter().any(|word| word == "filename=/dev/stdin");
        let words = std::iter::once(self.program.to_string_lossy().into_owned()).chain(arguments);
        let quoted: Vec<String> =
            words.chain(["--trace".to_owned()]).map(|word| ssh::quoted(&word)).collect();
        let line = format!("{}LC_ALL=C {}", if takes_bytes { "cat | " } else { "" }, quoted.join(" "));
        ssh::command(bridge, &line)
    }

    /// Prints a call's time, if asked to.
    pub(super) fn tell(&self, call: &Call, start: Instant, succeeded: bool) {
        if self.verbose {
            let outcome = if succeeded { "" } else { ", failed" };
            report::debug(format!("{call} ({} ms{outcome})", start.elapsed().as_millis()));
        }
    }

    /// Whether a member of the pool was asked that named its coordinator; it is the one to talk to from here on.
    fn turns_to_coordinator(&self, error: &anyhow::Error) -> bool {
        let named = super::xe_error(error).filter(|error| error.is(&[ASK_THE_COORDINATOR]));
        let Some(coordinator) = named.and_then(|error| error.params.first()) else { return false };
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(coordinator.clone());
        true
    }
}

fn text(call: &Call, answer: Vec<u8>) -> Result<String> {
    String::from_utf8(answer).with_context(|| format!("{call}: the answer is not UTF-8"))
}

/// Only what cannot have happened yet, or may happen twice, is asked again.
fn may_ask_again(call: &Call, error: &anyhow::Error) -> bool {
    super::xe_error(error)
        .is_some_and(|error| error.is_passing_refusal() || (call.only_reads() && error.is_lost_connection()))
}
