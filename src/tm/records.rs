//! The records of a VM in the pool, as scripts of a transfer manager find them. OpenNebula gives these scripts the VM's
//! number alone, and another OpenNebula on the pool, or one that was installed anew, has a VM with the same number: its
//! record is told by OS/UUID.

use super::show;
use crate::action::identity::Identity;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::vm::Vm;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, ensure};

/// The records that were made for OpenNebula's VM.
///
/// # Errors
///
/// A record has an OS/UUID, and OpenNebula does not tell that of its VM.
pub fn of(xe: &Xe, vm_id: u32) -> Result<Vec<Vm>> {
    let mut records = Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
    records.retain(mark::is_original);
    let Some((record, marked)) = records.iter().find_map(with_os_uuid) else {
        return Ok(records);
    };
    let os_uuid = os_uuid_of(vm_id).with_context(|| {
        format!(
            "VM {record} in the pool has OS/UUID {marked}, and whether it is VM {vm_id} cannot be told: nothing was \
             done to it (one-xcp gc lists VMs that OpenNebula no longer has)"
        )
    })?;
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

/// OS/UUID, as `onevm show` tells it.
fn os_uuid_of(vm_id: u32) -> Result<Uuid> {
    let shown = show::vm(vm_id)?;
    let number = shown.text("ID");
    ensure!(number == vm_id.to_string(), "onevm show {vm_id} answers with VM {number:?}");
    shown.os_uuid().with_context(|| format!("onevm show {vm_id} tells no OS/UUID"))
}
