//! The records of a VM in the pool, as scripts of a transfer manager find them. OpenNebula gives these scripts the VM's
//! number alone, and another OpenNebula on the pool, or one that was installed anew, has a VM with the same number: its
//! record is told by OS/UUID.

use super::show::{self, Shown};
use crate::action::identity::Identity;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::network::Vif;
use crate::xe::vm::Vm;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, anyhow, ensure};

/// The records that were made for OpenNebula's VM.
///
/// # Errors
///
/// A record has an OS/UUID, OpenNebula does not tell that of its VM, and nothing else does.
pub fn of(xe: &Xe, vm_id: u32) -> Result<Vec<Vm>> {
    let mut records = Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
    records.retain(mark::is_original);
    let Some((record, marked)) = records.iter().find_map(with_os_uuid) else {
        return Ok(records);
    };
    let unknown = || {
        format!(
            "VM {record} in the pool has OS/UUID {marked}, and whether it is VM {vm_id} cannot be told: nothing was \
             done to it (one-xcp gc lists VMs that OpenNebula no longer has)"
        )
    };
    let shown = shown(vm_id).with_context(unknown)?;
    let Some(os_uuid) = shown.os_uuid() else {
        if let [only] = records.as_slice()
            && is_without_os_uuid(xe, only, &shown)?
        {
            return Ok(records);
        }
        return Err(anyhow!("onevm show {vm_id} tells no OS/UUID")).with_context(unknown);
    };
    let identity = Identity::new(vm_id, Some(os_uuid));
    let (ours, others): (Vec<Vm>, Vec<Vm>) = records.into_iter().partition(|record| identity.is_of(record));
    for (record, marked) in others.iter().filter_map(with_os_uuid) {
        report::warn(format!(
            "VM {record} has the number of VM {vm_id} and OS/UUID {marked}: it is another OpenNebula's, or an earlier \
             one's, and stays (one-xcp gc lists VMs that OpenNebula no longer has)"
        ));
    }
    Ok(ours)
}

fn with_os_uuid(record: &Vm) -> Option<(&Uuid, &str)> {
    Some((&record.uuid, record.other_config(mark::OS_UUID)?))
}

/// `onevm show`.
fn shown(vm_id: u32) -> Result<Shown> {
    let shown = show::vm(vm_id)?;
    let number = shown.text("ID");
    ensure!(number == vm_id.to_string(), "onevm show {vm_id} answers with VM {number:?}");
    Ok(shown)
}

/// Whether the record is the VM's although OpenNebula has no OS/UUID of it any more: `onevm updateconf` with a file takes
/// the sections away that are not in it, OS with its UUID too (VirtualMachine.cc `updateconf`). DEPLOY_ID does not
/// suffice, as OpenNebula overwrites it with what is reported for the same number, by another OpenNebula's VM too: one of
/// the VM's MAC addresses must be the record's as well.
fn is_without_os_uuid(xe: &Xe, record: &Vm, shown: &Shown) -> Result<bool> {
    if shown.has_os_uuid() || shown.text("DEPLOY_ID") != record.uuid.to_string() {
        return Ok(false);
    }
    let macs = shown.macs();
    let vifs = Vif::of_vm(xe, &record.uuid)?;
    Ok(vifs.iter().any(|vif| macs.iter().any(|mac| mac.eq_ignore_ascii_case(&vif.mac))))
}
