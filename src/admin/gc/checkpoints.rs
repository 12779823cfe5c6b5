//! Checkpoint files on this machine whose VM neither OpenNebula nor the pool has any more.

use super::{End, Inventory, Judge};
use crate::action::checkpoint::Checkpoint;
use crate::admin::claims::Claim;
use crate::admin::text;
use crate::lock::VmLock;
use crate::report::{self, Result};
use anyhow::{Context, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// OpenNebula's name for it (`src/vmm_mad/exec/one_vmm_exec.rb`, CHECKPOINT_FILE).
const NAME: &str = "checkpoint";

/// A file that `save` wrote and nothing can be restored from.
pub struct Leftover {
    path: PathBuf,
    vm_id: u32,
    checkpoint: Checkpoint,
}

/// All of them in the VMs' folders, `DATASTORE/VM_ID` below `datastores`.
///
/// Several pools may share a datastore, so that the pool does not have the VM is not enough: OpenNebula must have
/// said so, too.
pub fn leftovers(judge: &Judge<'_>, pool: &Inventory, datastores: &Path) -> Vec<Leftover> {
    let folders = numbered(datastores).into_iter().flat_map(|(_, datastore)| numbered(&datastore));
    let gone = folders.filter(|(vm_id, _)| judge.claim(*vm_id) == Claim::Unclaimed);
    let files = gone.filter_map(|(vm_id, folder)| {
        let path = folder.join(NAME);
        let checkpoint = read(&path)?;
        Some(Leftover { path, vm_id, checkpoint })
    });
    files.filter(|file| !pool.machines.contains(&file.checkpoint.vm)).collect()
}

/// The folders that are called by a number.
fn numbered(folder: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<_> =
        folders.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).collect();
    folders.sort_unstable();
    folders
}

/// Only a file of ours, whole: other drivers' are the memory itself.
fn read(path: &Path) -> Option<Checkpoint> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
    if is_file { Checkpoint::load(path).ok().flatten() } else { None }
}

impl Leftover {
    /// What becomes of it.
    pub fn settle(&self, yes: bool) -> End {
        if !yes {
            return End::WouldBeRemoved;
        }
        match self.remove() {
            Ok(()) => End::Removed,
            Err(why) => End::Failed(report::one_line(&format!("{why:#}"))),
        }
    }

    fn remove(&self) -> Result<()> {
        let Some(_lock) = VmLock::try_take(self.vm_id)? else {
            bail!("an action is at work on VM {}", self.vm_id);
        };
        ensure!(read(&self.path).as_ref() == Some(&self.checkpoint), "it is not what it was a moment ago");
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }

    /// A line for people, or JSON.
    pub fn show(&self, end: &End, json: bool) -> String {
        let ((word, more), path, vm_id) = (end.words(), self.path.display(), self.vm_id);
        let why = "OpenNebula has no such VM, and this pool neither";
        if json {
            return text::object(&[
                ("is", text::string(word)),
                ("kind", text::string(NAME)),
                ("path", text::string(&path.to_string())),
                ("vm_id", vm_id.to_string()),
                ("why", text::string(why)),
                ("more", text::string(more)),
            ]);
        }
        let more = if more.is_empty() { String::new() } else { format!("; {more}") };
        format!("{word:<8} {NAME} {path} of VM {vm_id}: {why}{more}")
    }
}
