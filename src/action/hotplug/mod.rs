//! Devices of a VM that is there already: what the actions share that plug disks and NICs in and out.

pub mod alias;
pub mod place;
mod refusal;

pub use refusal::{NO_PV_DRIVERS, explained};

use crate::one::{Conf, Disk, Element, Message, Nic, Vm, input};
use crate::report::{self, Result};
use crate::retry::Retry;
use crate::translate::{mark, unsupported};
use crate::xe::pluggable::Pluggable;
use crate::xe::vbd::Vbd;
use crate::xe::vdi::{self, Vdi};
use crate::xe::{Call, PowerState, Uuid, Xe, failed_with};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// A guest that has just been told to let go of a device may refuse at first.
const LETS_GO: Retry = Retry { tries: 5, first_pauses: 1 };

/// OpenNebula's message: on standard input, or in base64 as an argument.
pub fn message(argument: Option<&str>) -> Result<Message> {
    const WHAT: &str = "the message among the arguments";
    if let Some(message) = Message::from_stdin()? {
        return Ok(message);
    }
    let argument = argument.context("standard input holds no message that tells which device is meant")?;
    Message::parse(&input::decode(WHAT, argument.as_bytes().to_vec())?).context(WHAT)
}

/// The element of one of these names that the action is about: OpenNebula marks it.
pub fn device<'a>(vm: &'a Vm, names: &[&str]) -> Result<&'a Element> {
    let meant = |element: &&Element| names.contains(&element.name()) && element.is_yes("ATTACH");
    let found: Vec<&Element> = vm.template.children.iter().filter(meant).collect();
    match found.as_slice() {
        [device] => Ok(device),
        [] => bail!("VM/TEMPLATE has no {} with ATTACH=YES", names.join(" or ")),
        several => bail!("VM/TEMPLATE has {} devices with ATTACH=YES, not one", several.len()),
    }
}

/// `disk.N` on this machine: where OpenNebula says, or in the VM's folder below DATASTORE_LOCATION.
pub fn file(conf: &Conf, vm: &Vm, disk: &Disk, said: &Path) -> Result<PathBuf> {
    let said = said.parent().filter(|folder| folder.is_absolute());
    let folder = conf.vm_folder(vm.ds_id, vm.vm_id, said).context("the message names no datastore")?;
    Ok(disk.file(&folder))
}

/// Whether devices must be plugged into the VM's guest: a halted VM has them from its next start on.
pub fn is_live(uuid: &Uuid, vm: &Pluggable) -> Result<bool> {
    match vm.power_state {
        PowerState::Running => Ok(true),
        PowerState::Halted => Ok(false),
        state => bail!("VM {uuid} is {state}: only one that runs or is halted can change its devices"),
    }
}

/// Says what of these devices XAPI cannot do.
pub fn warn_of(vm: &Vm, element: &Element, disks: Vec<Disk>, nics: Vec<Nic>) {
    let template = vm.template.with_only(element.clone());
    let only = Vm { template, disks, nics, context: None, ..vm.clone() };
    for warning in unsupported::warnings(&only) {
        report::warn(warning);
    }
}

/// Runs a call that plugs in or out. After an error the device tells whether it was done all the same.
pub fn settle(xe: &Xe, call: &Call, already: &str, is_done: impl Fn() -> Result<bool>) -> Result<()> {
    let done = LETS_GO.run(|| xe.run(call), |error| failed_with(error, &["DEVICE_DETACH_REJECTED"]));
    match done {
        Ok(_) => Ok(()),
        Err(error) if failed_with(&error, &[already]) => Ok(()),
        Err(error) if matches!(is_done(), Ok(true)) => {
            report::warn(format!("it was done, but: {error:#}"));
            Ok(())
        }
        Err(error) => Err(explained(error)),
    }
}

/// Removes what an attempt had made for a VM's disk that was killed before it marked it; no guest has ever seen it.
/// Any other tag than that of an attempt removes nothing.
pub fn clear_remains(xe: &Xe, vm_id: u32, attempt: &str) -> Result<()> {
    if !mark::is_attempt_tag(attempt) {
        report::warn(format!("the lock of VM {vm_id} names {attempt:?}, which is no attempt of ours"));
        return Ok(());
    }
    let is_of_vm = |vdi: &Vdi| mark::disk_of_vdi(&vdi.tags).is_some_and(|(of_vm, _)| of_vm == vm_id);
    for left in Vdi::with_tag(xe, attempt)?.into_iter().filter(is_of_vm) {
        let vbds = Vbd::of_vdi(xe, &left.uuid)?;
        let is_used = vbds.iter().any(|vbd| vbd.is_attached || mark::disk_id(vbd).is_some());
        if !is_used && !left.is_a_snapshot {
            report::info(format!("clearing away what a killed driver left: VDI {}", left.uuid));
            xe.run(&vdi::destroy(&left.uuid))?;
        }
    }
    Ok(())
}
