//! One action at a time on one VM: OpenNebula may call `cancel` while a `deploy` is still under way.
//!
//! The lock holds between the drivers of one machine and user. It goes with its process, however that ends.

use crate::report::{self, Result};
use crate::signal::Stop;
use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often a wait looks whether the VM is free.
const LOOK: Duration = Duration::from_millis(100);

/// The VM is ours until this is dropped.
#[must_use]
pub struct VmLock {
    file: Option<File>,
    path: PathBuf,
    /// The file was there and nobody held it: the action before was killed, as it removes the file at its end.
    follows_killed: bool,
    /// The file is not removed.
    stays: bool,
}

impl VmLock {
    /// Waits until no other action works on OpenNebula's VM. An error after `limit`, or when told to stop.
    ///
    /// Where no lock can be made (`TMPDIR` full or not writable) the action goes on without, and says so.
    pub fn take(vm_id: u32, limit: Duration, stop: &Stop) -> Result<VmLock> {
        let path = path_of(vm_id);
        let end = Instant::now() + limit;
        let mut waits = false;
        loop {
            stop.check()?;
            let follows_killed = !waits && path.exists();
            match try_lock(&path) {
                Ok(Some(file)) => return Ok(VmLock { file: Some(file), path, follows_killed, stays: false }),
                Ok(None) if Instant::now() >= end => {
                    bail!("another action on VM {vm_id} has not ended within {} s", limit.as_secs())
                }
                Ok(None) => {}
                Err(why) => {
                    report::warn(format!("cannot lock VM {vm_id} with {}: {why}", path.display()));
                    return Ok(VmLock { file: None, path, follows_killed: false, stays: false });
                }
            }
            if !waits {
                report::info(format!("another action on VM {vm_id} is under way: waiting for its end"));
                waits = true;
            }
            thread::sleep(LOOK);
        }
    }
}

impl VmLock {
    /// Takes the lock if nobody has it, for one that is no action: what a killed action has left for the next
    /// one stays.
    pub fn try_take(vm_id: u32) -> Result<Option<VmLock>> {
        let path = path_of(vm_id);
        let follows_killed = path.exists();
        let file =
            try_lock(&path).with_context(|| format!("cannot lock VM {vm_id} with {}", path.display()))?;
        Ok(file.map(|file| VmLock { file: Some(file), path, follows_killed, stays: follows_killed }))
    }

    /// Whether an action of this machine and user is at work on OpenNebula's VM. Leaves the file as it is: it
    /// tells the next action of one that was killed.
    pub fn is_held(vm_id: u32) -> bool {
        let Ok(file) = File::open(path_of(vm_id)) else { return false };
        flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Whether the action before on this machine did not get to its end.
    pub fn follows_a_killed_action(&self) -> bool {
        self.follows_killed
    }
}

impl VmLock {
    /// Writes down what the next action must know if this one is killed.
    pub fn note(&self, text: &str) {
        let Some(file) = &self.file else { return };
        let written = file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0));
        if let Err(why) = written {
            report::warn(format!("cannot write to {}: {why}", self.path.display()));
        }
    }

    /// What the action before wrote down, if it did not get to its end, at which the file goes.
    pub fn note_of_killed(&self) -> Option<String> {
        let note = self.file.as_ref().and_then(|_| fs::read_to_string(&self.path).ok())?;
        (!note.is_empty()).then_some(note)
    }
}

impl Drop for VmLock {
    fn drop(&mut self) {
        // Only who holds the lock may remove its file; closing the file gives the lock back.
        if self.file.is_some() && !self.stays {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn path_of(vm_id: u32) -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    env::temp_dir().join(format!("one-xcp-{user}-vm-{vm_id}.lock"))
}

/// The locked file; none if another has it, or had it until now and has removed it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(no_link)
        .open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(why) => return Err(why.into()),
    }
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(now) if (now.dev(), now.ino()) == (ours.dev(), ours.ino()) => Ok(Some(file)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::try_lock;

    #[test]
    fn one_has_it_and_who_comes_later_gets_it_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = try_lock(&path).unwrap();
        assert!(first.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        drop(first);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(try_lock(&path).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
