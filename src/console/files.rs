//! `console-UUID.pid` in the directory of our own: three lines, `PID VM_ID`, the host and the mark, locked while the
//! relay lives.

use super::{Console, Mark};
use crate::file_lock::FileLock;
use crate::pid_file;
use crate::report::Result;
use crate::state_dir::StateDir;
use crate::xe::Uuid;

const PREFIX: &str = "console-";
const ENDING: &str = ".pid";
/// Version 0.1 had the files of its relays in the folder for temporary files, under names that began so.
const EARLIER_PREFIX: &str = "one-xcp-console-";

/// A relay that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    pub pid: u32,
    pub vm_id: u32,
    pub host: String,
    pub mark: Mark,
}

fn name(vm: &Uuid) -> String {
    format!("{PREFIX}{vm}{ENDING}")
}

/// Becomes the relay of the VM; the one before is stopped.
pub fn take_over(vm: &Uuid) -> Result<FileLock> {
    pid_file::take_over(&StateDir::open()?, &name(vm))
}

/// Says what this relay is for.
pub fn write(lock: &FileLock, console: &Console) -> Result<()> {
    let Console { vm_id, host, mark, .. } = console;
    lock.write(&format!("{} {vm_id}\n{host}\n{mark}", std::process::id()))
}

/// The VM's relay, if it has one.
pub fn of_vm(vm: &Uuid) -> Option<Relay> {
    let text = pid_file::held(&StateDir::open().ok()?, &name(vm))?;
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
    let names = StateDir::open().map(|dir| dir.names()).unwrap_or_default();
    names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?.parse().ok()).collect()
}

/// The relays on this machine that are those of other VMs.
pub fn others(vm: &Uuid) -> Vec<(Uuid, Relay)> {
    vms()
        .into_iter()
        .filter(|other| other != vm)
        .filter_map(|other| of_vm(&other).map(|relay| (other, relay)))
        .collect()
}

/// Takes the VM's console away. Without one there is nothing to do.
pub fn end(vm: &Uuid) -> Result<()> {
    if let Ok(dir) = StateDir::of_earlier_versions() {
        // What is not this user's own was never such a relay's.
        _ = pid_file::end(&dir, &format!("{EARLIER_PREFIX}{vm}{ENDING}"));
    }
    pid_file::end(&StateDir::open()?, &name(vm))
}
