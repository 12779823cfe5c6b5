//! `one-xcp-console-UUID.pid` in the folder for temporary files: three lines, `PID VM_ID`, the host and
//! the mark, locked while the relay lives.

use super::{Console, Mark};
use crate::pid_file::{self, Lock};
use crate::report::Result;
use crate::xe::Uuid;
use std::fs;
use std::path::PathBuf;

const PREFIX: &str = "one-xcp-console-";
const ENDING: &str = ".pid";

/// A relay that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    pub pid: u32,
    pub vm_id: u32,
    pub host: String,
    pub mark: Mark,
}

fn path(vm: &Uuid) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{vm}{ENDING}"))
}

/// Becomes the relay of the VM; the one before is stopped.
pub fn take_over(vm: &Uuid) -> Result<Lock> {
    pid_file::take_over(&path(vm))
}

/// Says what this relay is for.
pub fn write(lock: &mut Lock, console: &Console) -> Result<()> {
    let Console { vm_id, host, mark, .. } = console;
    lock.write(&format!("{} {vm_id}\n{host}\n{mark}", std::process::id()))
}

/// The VM's relay, if it has one.
pub fn of_vm(vm: &Uuid) -> Option<Relay> {
    let text = pid_file::held(&path(vm))?;
    let mut lines = text.lines();
    let (pid, vm_id) = lines.next()?.split_once(' ')?;
    Some(Relay {
        pid: pid.parse().ok()?,
        vm_id: vm_id.parse().ok()?,
        host: lines.next()?.to_owned(),
        mark: lines.next()?.parse().ok()?,
    })
}

/// The VMs that have a relay on this machine, or had one.
pub fn vms() -> Vec<Uuid> {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?.parse().ok()).collect()
}

/// Takes the VM's console away. Without one there is nothing to do.
pub fn end(vm: &Uuid) -> Result<()> {
    if fs::symlink_metadata(path(vm)).is_ok() {
        take_over(vm)?.end();
    }
    Ok(())
}
