//! How a command that OpenNebula had run in a guest (`exec`) ended: kept on the host until monitoring has told it.
//!
//! Messages of monitoring may be lost, and OpenNebula marks the command as begun only after `exec` has ended.
//! So each result is told again and again for a while.

use crate::report::Result;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a result is told: several periods of EXEC_VM.
const TOLD_FOR: Duration = Duration::from_secs(120);

/// What a command has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub return_code: i64,
    pub stdout: String,
    pub stderr: String,
}

fn folder() -> PathBuf {
    env::temp_dir()
}

fn prefix() -> String {
    format!("one-xcp-{}-exec-", rustix::process::getuid().as_raw())
}

fn file(vm_id: u32) -> PathBuf {
    folder().join(format!("{}{vm_id}", prefix()))
}

impl Execution {
    /// OpenNebula's EXEC_VM text (kvm_qemu_ga.rb `vm_to_exec`).
    fn line(&self, vm_id: u32) -> String {
        format!(
            "VM = [ ID=\"{vm_id}\", PID=\"0\", STATUS=\"DONE\", RETURN_CODE=\"{}\", STDOUT=\"{}\", STDERR=\"{}\" ]\n",
            self.return_code,
            STANDARD.encode(&self.stdout),
            STANDARD.encode(&self.stderr)
        )
    }

    /// Keeps it for monitoring, in place of what the VM's last command left.
    pub fn keep(&self, vm_id: u32) -> Result<()> {
        let path = file(vm_id);
        let kept = || -> Result<()> {
            let mut file = tempfile::Builder::new().prefix(".one-xcp-exec-").tempfile_in(folder())?;
            file.write_all(self.line(vm_id).as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        kept().with_context(|| format!("cannot keep the command's result in {}", path.display()))
    }
}

/// Forgets what the VM's last command left.
pub fn forget(vm_id: u32) {
    _ = fs::remove_file(file(vm_id));
}

/// What ended lately on this host. Older results are removed.
pub fn recent() -> String {
    let Ok(entries) = fs::read_dir(folder()) else { return String::new() };
    let ours = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(&prefix()));
    let mut lines: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(ours))
        .filter_map(|path| read(&path))
        .collect();
    lines.sort_unstable();
    lines.concat()
}

/// Only a file of our own counts: others may write where temporary files are.
fn read(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.uid() != rustix::process::getuid().as_raw() {
        return None;
    }
    let age = meta.modified().ok()?.elapsed().unwrap_or_default();
    if age > TOLD_FOR {
        _ = fs::remove_file(path);
        return None;
    }
    fs::read_to_string(path).ok()
}
