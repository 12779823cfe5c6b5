//! A file that says which of our programs does a job, locked while it lives: the lock, not the number in it,
//! tells whether there is one. So no stranger that has the number now is ever stopped.
//!
//! Others may write to the folder for temporary files. Files of another user are refused, and links are not
//! followed.

use crate::report::Result;
use anyhow::{Context, bail, ensure};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, Signal, getuid, kill_process};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// A program that is told to stop ends within a moment, or is killed.
const STOP_LIMIT: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The right to do the job, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Becomes the one that may do it; the program that did is stopped.
pub fn take_over(path: &Path) -> Result<Lock> {
    let mut file = open(path, OFlags::RDWR | OFlags::CREATE)?;
    for signal in [Signal::TERM, Signal::KILL] {
        let end = Instant::now() + STOP_LIMIT;
        let mut told = None;
        loop {
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Lock { file, path: path.to_owned() });
            }
            // Whoever holds the lock has written its number there, and lives as long as it does.
            let holder = number(&text(&mut file));
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
    bail!("cannot stop the program that holds {}", path.display())
}

/// Becomes the one that may do it if the file still has what `token` was written there for us.
pub fn take_up(path: &Path, token: &str) -> Result<Lock> {
    let mut lock = Lock { file: open(path, OFlags::RDWR)?, path: path.to_owned() };
    let end = Instant::now() + STOP_LIMIT;
    while flock(&lock.file, FlockOperation::NonBlockingLockExclusive).is_err() {
        ensure!(lock.text() == token && Instant::now() < end, "another client has taken over");
        thread::sleep(LOOK_AGAIN);
    }
    ensure!(lock.text() == token, "another client has taken over");
    Ok(lock)
}

/// What the program that does it has written into the file; none when nobody does.
pub fn held(path: &Path) -> Option<String> {
    let mut file = open(path, OFlags::RDONLY).ok()?;
    flock(&file, FlockOperation::NonBlockingLockShared).is_err().then(|| text(&mut file))
}

impl Lock {
    /// Tells whoever comes next who holds it.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let mut write = || -> std::io::Result<()> {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn text(&mut self) -> String {
        text(&mut self.file)
    }

    /// Whether the file is still the one that newcomers look at. Keeps it fresh for those who clear away
    /// what is old.
    pub fn is_current(&self) -> bool {
        let (Ok(ours), Ok(theirs)) = (self.file.metadata(), fs::symlink_metadata(&self.path)) else {
            return false;
        };
        _ = self.file.set_modified(SystemTime::now());
        (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
    }

    /// Gives the right back, and leaves no file behind.
    pub fn end(self) {
        if self.is_current() {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn text(file: &mut File) -> String {
    let mut text = String::new();
    _ = file.rewind();
    _ = file.take(1 << 16).read_to_string(&mut text);
    text
}

fn number(text: &str) -> Option<Pid> {
    Pid::from_raw(text.split(' ').next()?.parse().ok()?)
}

/// Opens a file of ours, for nobody else to read.
pub fn open(path: &Path, flags: OFlags) -> Result<File> {
    let open = rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::RUSR | Mode::WUSR);
    let file = File::from(open.with_context(|| format!("cannot open {}", path.display()))?);
    let owner = file.metadata().with_context(|| format!("cannot look at {}", path.display()))?.uid();
    ensure!(owner == getuid().as_raw(), "{} belongs to another user", path.display());
    Ok(file)
}
