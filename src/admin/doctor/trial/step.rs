//! One step of a trial: a script, run as OpenNebula runs it, and what became of it.

use super::vm::TrialVm;
use crate::admin::text;
use crate::process;
use crate::report::{Result, one_line};
use crate::signal::Stop;
use anyhow::{Context, anyhow, bail};
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A step that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// This pool, or a VM without a guest system, cannot do it.
    Skipped,
    Failed,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "ok",
            Verdict::Skipped => "skip",
            Verdict::Failed => "FAIL",
        }
    }
}

/// What a step came to.
pub struct Step {
    pub name: &'static str,
    pub verdict: Verdict,
    /// Why it was skipped or failed.
    pub reason: String,
    pub took: Duration,
    /// The `xe` calls it made, each with its time.
    pub calls: Vec<String>,
}

impl Step {
    pub fn line(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        format!(
            "{:<5} {:<16} {:>6.1} s {:>3} calls{reason}",
            self.verdict.word(),
            self.name,
            self.took.as_secs_f64(),
            self.calls.len()
        )
    }

    pub fn json(&self) -> String {
        text::object(&[
            ("step", text::string(self.name)),
            ("verdict", text::string(&self.verdict.word().to_ascii_lowercase())),
            ("reason", text::string(&self.reason)),
            ("seconds", format!("{:.3}", self.took.as_secs_f64())),
            ("calls", self.calls.len().to_string()),
        ])
    }
}

/// Runs scripts with the settings of the drivers that `called_as` belongs to.
pub struct Scripts<'a> {
    pub called_as: &'a Path,
    pub stop: &'a Stop,
}

/// A script's answer, or its error line; and the calls it made.
pub struct Answer {
    pub result: Result<String>,
    pub calls: Vec<String>,
}

impl Scripts<'_> {
    /// Runs `one-xcp WORDS…` with this standard input.
    pub fn run(&self, vm: &TrialVm, words: &[&str], stdin: &str) -> Answer {
        let output = self.command(vm, words).and_then(|mut command| {
            let write = |mut pipe: std::process::ChildStdin| Ok(pipe.write_all(stdin.as_bytes())?);
            // A script that is told to stop takes back what it has done: it is not killed.
            let never = std::sync::atomic::AtomicBool::new(false);
            process::feed(&mut command, LIMIT, &never, &|| (), write)
        });
        let (output, _) = match output {
            Ok(output) => output,
            Err(error) => return Answer { result: Err(error), calls: Vec::new() },
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        let (logged, errors): (Vec<&str>, Vec<&str>) = stderr
            .lines()
            .partition(|line| ["DEBUG:", "INFO:", "WARN:"].iter().any(|mark| line.starts_with(mark)));
        let calls =
            logged.iter().filter_map(|line| line.strip_prefix("DEBUG: ")).map(str::to_owned).collect();
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let error = || anyhow!(one_line(&errors.join(" ")));
        let result = if output.status.success() { Ok(answer) } else { Err(error()) };
        Answer { result, calls }
    }

    fn command(&self, vm: &TrialVm, words: &[&str]) -> Result<Command> {
        let program = env::current_exe().context("cannot find this program")?;
        let called_as: PathBuf = self.called_as.with_file_name(words.first().copied().unwrap_or_default());
        let mut command = Command::new(program);
        command.arg("--verbose").arg("--called-as").arg(called_as).args(words);
        command.env("DATASTORE_LOCATION", vm.datastores());
        Ok(command)
    }

    /// Runs a step: `check` says whether the script's answer is right.
    pub fn step(
        &self,
        name: &'static str,
        vm: &TrialVm,
        words: &[&str],
        stdin: &str,
        check: impl FnOnce(&str) -> Result<()>,
    ) -> (Step, Option<String>) {
        let start = Instant::now();
        let Answer { result, calls } = match self.stop.check() {
            Ok(()) => self.run(vm, words, stdin),
            Err(stopped) => Answer { result: Err(stopped), calls: Vec::new() },
        };
        let result = result.and_then(|answer| check(&answer).map(|()| answer));
        let took = start.elapsed();
        match result {
            Ok(answer) => {
                let step = Step { name, verdict: Verdict::Passed, reason: String::new(), took, calls };
                (step, Some(answer))
            }
            Err(error) => {
                let reason = one_line(&format!("{error:#}"));
                let verdict = if wants_a_guest(&reason) { Verdict::Skipped } else { Verdict::Failed };
                (Step { name, verdict, reason, took, calls }, None)
            }
        }
    }
}

/// Whether a step failed because the trial's VM has no guest system: XAPI's codes, in the error's last words, or our
/// own refusal before XAPI is asked.
fn wants_a_guest(reason: &str) -> bool {
    ["(VM_LACKS_FEATURE", "(VM_MISSING_PV_DRIVERS", "(VM_OLD_PV_DRIVERS", "(VM_NO_PV_DRIVERS"]
        .iter()
        .any(|code| reason.contains(code))
        || reason.contains(crate::action::NO_PV_DRIVERS)
}

/// Answers that cannot be true.
pub fn need(condition: bool, what: &str) -> Result<()> {
    if !condition {
        bail!("{what}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::wants_a_guest;

    #[test]
    fn what_needs_a_guest_is_told_from_what_failed() {
        assert!(wants_a_guest("migrate: xe vm-migrate …: … (VM_LACKS_FEATURE_SUSPEND)."));
        assert!(wants_a_guest(&format!("attach_disk: {}.", crate::action::NO_PV_DRIVERS)));
        assert!(!wants_a_guest("migrate: xe vm-migrate …: … (HOST_NOT_ENOUGH_FREE_MEMORY)."));
    }
}
