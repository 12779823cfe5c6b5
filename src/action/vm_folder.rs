//! The VM's folder on the host it is on: where `disk.N`, checkpoints and the like are.

use crate::one::{Conf, Message};
use crate::report::{self, Result};
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder: `DATASTORE/BASE_PATH`, or where settings and history put it.
pub fn of(conf: &Conf, message: &Message) -> Result<PathBuf> {
    conf.vm_folder(message.vm.ds_id, message.vm.vm_id, message.vm_folder.as_deref())
        .context("the message names no datastore, in which the VM's folder would be")
}

/// As [`of`]; made if it is not there. A migration of before, or somebody, may have removed it.
///
/// # Errors
/// That of a shared datastore is never made: without its files the datastore is not mounted, and what is written below
/// the mount point is lost.
pub fn make(conf: &Conf, message: &Message) -> Result<PathBuf> {
    let folder = of(conf, message)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let may_make = match message.datastore.is_shared {
        Some(is_shared) => !is_shared,
        None => folder.parent().is_some_and(Path::is_dir),
    };
    ensure!(
        may_make,
        "there is no folder {} for the VM's disks: is the shared datastore mounted on this host?",
        folder.display()
    );
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    report::warn(format!("there was no folder {}: it is made anew", folder.display()));
    Ok(folder)
}
