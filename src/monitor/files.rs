//! Where a client keeps what must outlive it, and how at most one client a host is kept running:
//! `one-xcp-monitor-HOST_ID.*` in the folder for temporary files.
//!
//! Others may write to that folder. Files of another user are refused, and links are not followed.

pub use crate::pid_file::Lock;

use crate::pid_file;
use crate::report::Result;
use anyhow::Context;
use rustix::fs::OFlags;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;

const PREFIX: &str = "one-xcp-monitor-";

/// The files of the client of one host.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
    host_id: u32,
}

impl Files {
    pub fn of_host(host_id: u32) -> Files {
        Files::in_folder(std::env::temp_dir(), host_id)
    }

    pub(super) fn in_folder(folder: PathBuf, host_id: u32) -> Files {
        Files { folder, host_id }
    }

    /// The hosts that have such a file: for `pid`, those that have a client or had one.
    pub fn host_ids(ending: &str) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let number =
            |name: String| name.strip_prefix(PREFIX)?.strip_suffix(ending)?.strip_suffix('.')?.parse().ok();
        names.filter_map(number).collect()
    }

    pub fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{PREFIX}{}.{ending}", self.host_id))
    }

    /// What was kept; nothing if there is no such file.
    pub fn read(&self, ending: &str) -> Result<Option<String>> {
        let path = self.path(ending);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        let mut text = String::new();
        pid_file::open(&path, OFlags::RDONLY)?
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(text))
    }

    /// Replaces the file as a whole.
    pub fn write(&self, ending: &str, text: &str) -> Result<()> {
        let path = self.path(ending);
        let write = || -> Result<()> {
            let mut file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&self.folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Opens a file to add lines to.
    pub fn append(&self, ending: &str) -> Result<File> {
        pid_file::open(&self.path(ending), OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
    }

    /// Becomes the one that may run; the client that was is stopped.
    pub fn take_over(&self) -> Result<Lock> {
        pid_file::take_over(&self.path("pid"))
    }

    /// Becomes the one that may run if the file still has what `token` was written there for us.
    pub fn take_up(&self, token: &str) -> Result<Lock> {
        pid_file::take_up(&self.path("pid"), token)
    }

    /// What the pid file says: `PID SCRIPT` of a running client.
    pub fn client(&self) -> Result<Option<(u32, String)>> {
        let Some(text) = self.read("pid")? else { return Ok(None) };
        let Some((pid, script)) = text.split_once(' ') else { return Ok(None) };
        Ok(pid.parse().ok().map(|pid| (pid, script.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path().to_owned(), 7);
        (folder, files)
    }

    #[test]
    fn a_link_that_another_user_laid_is_not_followed() {
        let (folder, files) = files();
        let target = folder.path().join("precious");
        fs::write(&target, "kept").unwrap();
        for ending in ["pid", "log", "vms"] {
            std::os::unix::fs::symlink(&target, files.path(ending)).unwrap();
        }
        assert!(files.take_over().is_err() && files.append("log").is_err() && files.read("vms").is_err());
        files.write("vms", "new").unwrap();
        assert_eq!(files.read("vms").unwrap().as_deref(), Some("new"));
        assert_eq!(fs::read_to_string(target).unwrap(), "kept");
    }

    #[test]
    fn only_who_was_named_takes_up_what_was_left() {
        let (_folder, files) = files();
        let mut lock = files.take_over().unwrap();
        lock.write("1 starting 5").unwrap();
        drop(lock);
        assert!(files.take_up("1 starting 4").is_err());
        let lock = files.take_up("1 starting 5").unwrap();
        assert!(lock.is_current());
        fs::remove_file(files.path("pid")).unwrap();
        assert!(!lock.is_current());
    }
}
