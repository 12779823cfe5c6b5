//! A program whose output goes into a VDI as it comes: a downloader, a decompressor.

use crate::report::{self, Result};
use crate::signal::Stop;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the watch looks.
const LOOK: Duration = Duration::from_millis(50);

/// The running program. It is killed with its children when this is dropped.
pub struct Producer {
    program: String,
    child: Child,
    pid: Pid,
    ended: Arc<AtomicBool>,
    complaints: Option<thread::JoinHandle<String>>,
}

impl Producer {
    /// Starts it; gives back its output to read. It is killed after `limit`, and when this program is told to
    /// stop: whoever reads then sees the output's end, and [`Producer::finish`] tells that it was not the true one.
    pub fn start(command: &mut Command, limit: Duration, stop: &Stop) -> Result<(Producer, ChildStdout)> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let stdout = child.stdout.take().context("no pipe to read from")?;
        let mut stderr = child.stderr.take().context("no pipe to read from")?;
        let complaints = thread::spawn(move || {
            let mut text = Vec::new();
            _ = stderr.read_to_end(&mut text);
            report::one_line(&String::from_utf8_lossy(&text))
        });
        let pid = Pid::from_child(&child);
        let ended = Arc::new(AtomicBool::new(false));
        watch(pid, Instant::now() + limit, stop.clone(), Arc::clone(&ended));
        Ok((Producer { program, child, pid, ended, complaints: Some(complaints) }, stdout))
    }

    /// Ends it at once, for when nobody wants the rest.
    pub fn kill(&self) {
        if !self.ended.load(Ordering::Relaxed) {
            _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits for its end: an error unless it gave everything.
    pub fn finish(mut self) -> Result<()> {
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.program))?;
        self.ended.store(true, Ordering::Relaxed);
        if status.success() {
            return Ok(());
        }
        let said = self.complaints.take().and_then(|said| said.join().ok()).unwrap_or_default();
        bail!("{} failed ({status}): {said}", self.program)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.kill();
        _ = self.child.wait();
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn watch(pid: Pid, end: Instant, stop: Stop, ended: Arc<AtomicBool>) {
    thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            if stop.check().is_err() || Instant::now() > end {
                _ = kill_process_group(pid, Signal::KILL);
                return;
            }
            thread::sleep(LOOK);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Producer, ChildStdout) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Producer::start(&mut command, Duration::from_secs(20), &Stop::default()).unwrap()
    }

    #[test]
    fn what_ends_early_is_told_from_what_is_whole() {
        let (whole, mut from) = shell("printf abc");
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        whole.finish().unwrap();
        let (broken, mut from) = shell("printf ab; echo gone >&2; exit 7");
        from.read_to_string(&mut text).unwrap();
        let error = broken.finish().unwrap_err().to_string();
        assert!(error.ends_with("gone"), "{error}");
    }

    #[test]
    fn one_that_hangs_is_killed_when_nobody_wants_it() {
        let (hanging, mut from) = shell("sleep 60 & sleep 60");
        hanging.kill();
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        assert!(hanging.finish().is_err());
    }
}
