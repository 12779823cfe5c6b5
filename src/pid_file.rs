//! A file that says which of our programs does a job, locked while that program lives: the lock, not the number in
//! it, tells whether there is one. So no other process that has the number now is ever stopped.

use crate::file_lock::FileLock;
use crate::report::Result;
use crate::state_dir::StateDir;
use anyhow::{bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::thread;
use std::time::{Duration, Instant};

/// A program that is told to stop ends within a moment, or is killed.
const STOP_LIMIT: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Becomes the one that may do it; the program that did is stopped.
pub fn take_over(dir: &StateDir, name: &str) -> Result<FileLock> {
    for signal in [Signal::TERM, Signal::KILL] {
        let end = Instant::now() + STOP_LIMIT;
        let mut told = None;
        loop {
            if let Some(lock) = FileLock::try_take(dir, name)? {
                return Ok(lock);
            }
            // Whoever holds the lock has written its number there, and lives as long as it does.
            let holder = number(&dir.read(name)?.unwrap_or_default());
            if holder != told {
                if let Some(pid) = holder {
                    _ = kill_process(pid, signal);
                }
                told = holder;
            }
            if Instant::now() > end {
                break;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
    bail!("cannot stop the program that holds {}", dir.path_of(name).display())
}

/// Becomes the one that may do it if the file still has what `token` was written there for us.
pub fn take_up(dir: &StateDir, name: &str, token: &str) -> Result<FileLock> {
    let end = Instant::now() + STOP_LIMIT;
    loop {
        if let Some(lock) = FileLock::try_take_existing(dir, name)? {
            ensure!(lock.text() == token, "another client has taken over");
            return Ok(lock);
        }
        let is_ours = dir.read(name)?.as_deref() == Some(token);
        ensure!(is_ours && Instant::now() < end, "another client has taken over");
        thread::sleep(LOOK_AGAIN);
    }
}

/// What the program that does it has written into the file; none when nobody does.
pub fn held(dir: &StateDir, name: &str) -> Option<String> {
    if FileLock::is_held(dir, name).ok()? { dir.read(name).ok()? } else { None }
}

/// Stops the program that does it, if there is one, and removes its file.
pub fn end(dir: &StateDir, name: &str) -> Result<()> {
    if dir.read(name)?.is_some() {
        take_over(dir, name)?.remove();
    }
    Ok(())
}

fn number(text: &str) -> Option<Pid> {
    let number = text.split(' ').next()?.parse().ok().filter(|number: &i32| *number > 1)?;
    Pid::from_raw(number)
}
