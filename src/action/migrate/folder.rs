//! The VM's folder goes with the VM. On datastores that hosts do not share OpenNebula's `tm/postmigrate` removes it
//! from the source, and relies on `migrate` to have put it on the destination (remotes/vmm/kvm/migrate).
//!
//! It is copied as it is before the VM moves. The disks' files are older than the VDIs then, as they are on the
//! source; the next write-back replaces them.

use super::Args;
use crate::one::{Conf, Message};
use crate::report::{self, Result};
use crate::storage::place::{PASSING, Place};
use crate::xe::{Uuid, Xe, host::Host, outcome_unknown, vm, xe_error};
use anyhow::{Context, Error};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The file of a datastore's folder by which OpenNebula knows that the datastore is in use on a host.
const MONITOR: &str = ".monitor";

/// The longest such file; it names a transfer manager.
const LONGEST_BYTES: usize = 200;

/// Where the VM's folder is after the migration. None if there is no way to tell.
pub fn target(conf: &Conf, message: &Message) -> Option<PathBuf> {
    let told = message.target_folder.as_deref().or(message.vm_folder.as_deref());
    conf.vm_folder(message.vm.ds_id, message.vm.vm_id, told)
}

/// A VM's folder that the destination has to get.
pub struct Folder {
    from: Place,
    to: Place,
    /// A file in `from`: seen in `to`, both are the same folder.
    marker: NamedTempFile,
    is_copied: Cell<bool>,
}

impl Folder {
    /// The folder, or none if the destination has it already, or nobody tells of one. `on_front_end`: the files of
    /// all hosts are on this machine.
    pub fn find(
        conf: &Conf,
        message: Option<&Message>,
        args: &Args,
        on_front_end: bool,
    ) -> Result<Option<Folder>> {
        let Some(message) = message else { return Ok(None) };
        let (store, vm_id) = (&message.datastore, message.vm.vm_id);
        // The premigrate of `xcp` system datastores has copied it.
        if store.tm_mad == "xcp" {
            return Ok(None);
        }
        let from = conf.vm_folder(store.ds_id.or(message.vm.ds_id), vm_id, message.vm_folder.as_deref());
        let (Some(from), Some(to)) = (from, target(conf, message)) else { return Ok(None) };
        let is_one_machine = on_front_end || args.src_host == args.dest_host;
        let is_seen = is_one_machine || store.is_shared.unwrap_or(true);
        if is_seen && is_same(&from, &to) {
            return Ok(None);
        }
        if !from.is_dir() {
            report::warn(format!(
                "there is no folder {} to copy to {}: actions there make anew what they need of it",
                from.display(),
                args.dest_host
            ));
            return Ok(None);
        }
        let marker = tempfile::Builder::new()
            .prefix(&format!("{PASSING}migration-"))
            .tempfile_in(&from)
            .with_context(|| format!("cannot write to {}", from.display()))?;
        let host = if is_one_machine { "localhost" } else { &args.dest_host };
        Ok(Some(Folder {
            from: format!("localhost:{}", from.display()).parse()?,
            to: format!("{host}:{}", to.display()).parse()?,
            marker,
            is_copied: Cell::new(false),
        }))
    }

    /// Copies the folder to the destination. Nothing has moved if this fails.
    pub fn copy(&self, xe: &Xe) -> Result<()> {
        self.try_copy(xe).with_context(|| {
            format!(
                "cannot copy the VM's folder to {}, as its datastore is not shared (the source host must reach the \
                 destination by ssh without a password); the VM stays where it is",
                self.to
            )
        })
    }

    /// Copies the folder for a VM that runs on the destination already, unless it has one there.
    pub fn complete(&self, xe: &Xe) -> Result<()> {
        let completed =
            self.to.is_there().and_then(|is_there| if is_there { Ok(()) } else { self.try_copy(xe) });
        completed.with_context(|| format!("the VM runs on the destination, but has no folder {}", self.to))
    }

    fn try_copy(&self, xe: &Xe) -> Result<()> {
        if self.is_one()? {
            return Ok(());
        }
        self.from.copy_folder(&self.to, xe.transfer_limit, Some(xe.stop.flag()))?;
        self.is_copied.set(true);
        report::info(format!("the VM's folder is copied to {}", self.to));
        if let Err(error) = self.copy_monitor_file() {
            report::warn(format!("OpenNebula may not monitor the datastore on the destination: {error:#}"));
        }
        Ok(())
    }

    /// Hosts may share a file system although OpenNebula does not know.
    fn is_one(&self) -> Result<bool> {
        let name = self.marker.path().file_name().unwrap_or_default().to_string_lossy();
        self.to.below(&name).is_there()
    }

    fn copy_monitor_file(&self) -> Result<()> {
        let Ok(text) = fs::read_to_string(Path::new(self.from.folder()).join(MONITOR)) else { return Ok(()) };
        let there: Place = format!("{}:{}/{MONITOR}", self.to.host, self.to.folder()).parse()?;
        if text.len() > LONGEST_BYTES || there.is_there()? {
            return Ok(());
        }
        there.write(text.trim_end())
    }

    /// Removes the copy after a migration that failed, if the VM is known not to be there.
    /// `dest` is none where the VM changes only its storage.
    pub fn take_back(&self, xe: &Xe, uuid: &Uuid, dest: Option<&Host>, error: &Error) {
        if !self.is_copied.get() {
            return;
        }
        let has_ended = xe_error(error).is_some() && !outcome_unknown(error);
        let is_elsewhere = || {
            let now = vm::Vm::find(xe, uuid).ok().flatten();
            now.is_some_and(|now| {
                now.resident_on.is_some_and(|host| dest.is_none_or(|dest| host != dest.uuid))
            })
        };
        if !has_ended || !is_elsewhere() {
            report::warn(format!("the copy {} stays: where the VM runs is not known", self.to));
            return;
        }
        let removed = self.is_one().and_then(|is_one| if is_one { Ok(()) } else { self.to.remove() });
        if let Err(error) = removed {
            report::warn(format!("the copy {} is left over: {error:#}", self.to));
        }
    }
}

/// OpenNebula writes doubled slashes.
fn is_same(one: &Path, other: &Path) -> bool {
    one.components().eq(other.components())
}
