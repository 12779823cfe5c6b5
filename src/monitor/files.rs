//! Where a client keeps what must outlive it, and how at most one client a host is kept running:
//! `monitor-HOST_ID.*` in the directory of our own.

use crate::file_lock::FileLock;
use crate::pid_file;
use crate::report::Result;
use crate::state_dir::StateDir;
use anyhow::Context;
use rustix::fs::OFlags;
use std::fs::File;
use std::path::PathBuf;

const PREFIX: &str = "monitor-";
/// Version 0.1 had these files in the folder for temporary files, under names that began so.
const EARLIER_PREFIX: &str = "one-xcp-monitor-";

/// The files of the client of one host.
#[derive(Clone, Debug)]
pub struct Files {
    dir: StateDir,
    host_id: u32,
}

impl Files {
    pub fn of_host(host_id: u32) -> Result<Files> {
        Ok(Files { dir: StateDir::open()?, host_id })
    }

    #[cfg(test)]
    pub(super) fn in_folder(folder: &std::path::Path, host_id: u32) -> Files {
        Files { dir: StateDir::at(folder).unwrap(), host_id }
    }

    /// The hosts that have such a file: for `pid`, those that have a client or had one.
    pub fn host_ids(ending: &str) -> Vec<u32> {
        let names = StateDir::open().map(|dir| dir.names()).unwrap_or_default();
        let number =
            |name: &String| name.strip_prefix(PREFIX)?.strip_suffix(ending)?.strip_suffix('.')?.parse().ok();
        names.iter().filter_map(number).collect()
    }

    fn name(&self, ending: &str) -> String {
        format!("{PREFIX}{}.{ending}", self.host_id)
    }

    /// Where a file is, for messages.
    pub fn path(&self, ending: &str) -> PathBuf {
        self.dir.path_of(&self.name(ending))
    }

    /// What was kept; nothing if there is no such file.
    pub fn read(&self, ending: &str) -> Result<Option<String>> {
        self.dir.read(&self.name(ending))
    }

    /// Replaces the file as a whole.
    pub fn write(&self, ending: &str, text: &str) -> Result<()> {
        self.dir.replace(&self.name(ending), text)
    }

    /// Removes the file; it may be gone already.
    pub fn remove(&self, ending: &str) {
        self.dir.remove(&self.name(ending));
    }

    /// Opens a file to add lines to.
    pub fn append(&self, ending: &str) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        self.dir.open_file(&self.name(ending), flags)?.context("no file")
    }

    /// Gives a file another ending, in the place of what has it.
    pub fn rename(&self, ending: &str, new: &str) {
        _ = self.dir.rename(&self.name(ending), &self.name(new));
    }

    /// Becomes the one that may run; the client that was is stopped.
    pub fn take_over(&self) -> Result<FileLock> {
        if let Ok(dir) = StateDir::of_earlier_versions() {
            self.follow_earlier_version(&dir);
        }
        pid_file::take_over(&self.dir, &self.name("pid"))
    }

    /// Stops the client of an earlier version, and goes on with what it has saved. What is not a plain file of this
    /// user's own was never that client's.
    fn follow_earlier_version(&self, dir: &StateDir) {
        let name = |ending: &str| format!("{EARLIER_PREFIX}{}.{ending}", self.host_id);
        _ = pid_file::end(dir, &name("pid"));
        for ending in ["vms", "counters", "time"] {
            let Ok(Some(saved)) = dir.read(&name(ending)) else { continue };
            let has_newer = !matches!(self.read(ending), Ok(None));
            if has_newer || self.write(ending, &saved).is_ok() {
                dir.remove(&name(ending));
            }
        }
    }

    /// Becomes the one that may run if the file still has what `token` was written there for us.
    pub fn take_up(&self, token: &str) -> Result<FileLock> {
        pid_file::take_up(&self.dir, &self.name("pid"), token)
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
    use std::fs;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(&folder.path().join("state"), 7);
        (folder, files)
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let (folder, files) = files();
        let target = folder.path().join("target");
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
    fn what_an_earlier_version_saved_is_taken_over_once() {
        let (folder, files) = files();
        let old = |ending: &str| folder.path().join(format!("one-xcp-monitor-7.{ending}"));
        fs::write(old("counters"), "counted").unwrap();
        fs::write(old("vms"), "old").unwrap();
        fs::write(old("pid"), "0 nobody").unwrap();
        std::os::unix::fs::symlink(old("vms"), old("time")).unwrap();
        files.write("vms", "newer").unwrap();
        files.follow_earlier_version(&StateDir::at(folder.path()).unwrap());
        assert_eq!(files.read("counters").unwrap().as_deref(), Some("counted"));
        assert_eq!(files.read("vms").unwrap().as_deref(), Some("newer"));
        assert_eq!(files.read("time").unwrap(), None);
        assert!(!old("counters").exists() && !old("vms").exists() && !old("pid").exists());
    }

    #[test]
    fn only_who_was_named_takes_up_what_was_left() {
        let (_folder, files) = files();
        let lock = files.take_over().unwrap();
        lock.write("1 starting 5").unwrap();
        drop(lock);
        assert!(files.take_up("1 starting 4").is_err());
        let lock = files.take_up("1 starting 5").unwrap();
        assert!(lock.is_current());
        fs::remove_file(files.path("pid")).unwrap();
        assert!(!lock.is_current());
    }
}
