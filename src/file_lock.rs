//! A locked file in the directory of our own: whoever has the lock does the job that the file stands for. The lock
//! goes with its process, however that ends.

use crate::report::Result;
use crate::state_dir::StateDir;
use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

/// No file of ours is larger.
const MAX_BYTES: u64 = 64 << 20;

/// The lock, held until dropped.
#[derive(Debug)]
pub struct FileLock {
    dir: StateDir,
    name: String,
    file: File,
}

impl FileLock {
    /// Takes the lock, making the file if there is none; None while another has it.
    pub fn try_take(dir: &StateDir, name: &str) -> Result<Option<FileLock>> {
        let file = dir.open_file(name, OFlags::RDWR | OFlags::CREATE)?.context("no file")?;
        FileLock::lock(dir, name, file)
    }

    /// Takes the lock of a file that is there; None while another has it.
    pub fn try_take_existing(dir: &StateDir, name: &str) -> Result<Option<FileLock>> {
        let Some(file) = dir.open_file(name, OFlags::RDWR)? else {
            bail!("there is no {}", dir.path_of(name).display())
        };
        FileLock::lock(dir, name, file)
    }

    fn lock(dir: &StateDir, name: &str, file: File) -> Result<Option<FileLock>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(why) => {
                return Err(why).with_context(|| format!("cannot lock {}", dir.path_of(name).display()));
            }
        }
        let lock = FileLock { dir: dir.clone(), name: name.to_owned(), file };
        // Whoever had it until now may have removed the file: then another file is the one to lock.
        Ok(lock.is_current().then_some(lock))
    }

    /// Whether another program has the lock at this moment. The file stays as it is.
    pub fn is_held(dir: &StateDir, name: &str) -> Result<bool> {
        let Some(file) = dir.open_file(name, OFlags::RDONLY)? else { return Ok(false) };
        Ok(flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
    }

    /// Whether the file is still the one that newcomers look at.
    pub fn is_current(&self) -> bool {
        self.dir.is_named(&self.name, &self.file)
    }

    /// Keeps the file from those who clear away what is old.
    pub fn refresh(&self) {
        _ = self.file.set_modified(SystemTime::now());
    }

    /// Writes down what others should know of the one that has the lock.
    pub fn write(&self, text: &str) -> Result<()> {
        let written = self.file.set_len(0).and_then(|()| self.file.write_all_at(text.as_bytes(), 0));
        written.with_context(|| format!("cannot write {}", self.dir.path_of(&self.name).display()))
    }

    /// What is written there; of one that was killed, what it wrote.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut file = &self.file;
        _ = file.rewind().and_then(|()| file.take(MAX_BYTES).read_to_string(&mut text));
        text
    }

    /// Gives the lock back and leaves no file behind.
    pub fn remove(self) {
        // Only the one that has the lock may remove its file.
        if self.is_current() {
            self.dir.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_who_comes_later_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::at(&folder.path().join("state")).unwrap();
        let take = || FileLock::try_take(&dir, "lock").unwrap();
        assert!(
            FileLock::try_take_existing(&dir, "lock").is_err() && !FileLock::is_held(&dir, "lock").unwrap()
        );
        let first = take().unwrap();
        first.write("who has it").unwrap();
        assert!(take().is_none() && FileLock::is_held(&dir, "lock").unwrap());
        drop(first);
        assert!(!FileLock::is_held(&dir, "lock").unwrap());
        let second = take().unwrap();
        assert_eq!(second.text(), "who has it");
        dir.remove("lock");
        let third = take().unwrap();
        assert!(!second.is_current() && third.is_current() && third.text().is_empty());
        second.remove();
        assert!(third.is_current(), "another's file stays");
        third.remove();
        assert!(FileLock::try_take_existing(&dir, "lock").is_err());
    }
}
