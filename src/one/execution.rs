//! How a command that OpenNebula had run in a guest (`exec`) ended: kept on the host until monitoring has told it.
//!
//! Messages of monitoring may be lost, and OpenNebula marks the command as begun only after `exec` has ended.
//! So each result is told again and again for a while.

use crate::report::Result;
use crate::state_dir::StateDir;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::OFlags;
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

const PREFIX: &str = "exec-";

fn name(vm_id: u32) -> String {
    format!("{PREFIX}{vm_id}")
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
        let kept = StateDir::open().and_then(|dir| dir.replace(&name(vm_id), &self.line(vm_id)));
        kept.context("cannot keep the command's result")
    }
}

/// Forgets what the VM's last command left.
pub fn forget(vm_id: u32) {
    if let Ok(dir) = StateDir::open() {
        dir.remove(&name(vm_id));
    }
}

/// What ended lately on this host. Older results are removed.
pub fn recent() -> String {
    let Ok(dir) = StateDir::open() else { return String::new() };
    let names = dir.names().into_iter().filter(|name| name.starts_with(PREFIX));
    let mut lines: Vec<String> = names.filter_map(|name| read(&dir, &name)).collect();
    lines.sort_unstable();
    lines.concat()
}

fn read(dir: &StateDir, name: &str) -> Option<String> {
    let file = dir.open_file(name, OFlags::RDONLY).ok()??;
    let age = file.metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default();
    if age > TOLD_FOR {
        dir.remove(name);
        return None;
    }
    dir.read(name).ok()?
}
