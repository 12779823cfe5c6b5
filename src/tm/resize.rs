//! `resize HOST:PATH/disk.N SIZE_MB VM_ID DS_ID`: makes a disk larger.

use super::place::Place;
use super::{Call, disk};
use crate::report::{self, Result};
use crate::storage::{MB, vdi_size_bytes};
use crate::xe::{failed_with, vdi};
use anyhow::Context;

pub fn run(call: &Call) -> Result<String> {
    let place: Place = call.word(0, "the disk's place")?;
    let size_mb: u64 = call.word(1, "the size")?;
    let xe = call.xe(&place, call.word(3, "the datastore's id")?)?;
    let vdi = disk::vdi(&xe, &place)?;
    let wanted = vdi_size_bytes(size_mb * MB);
    if vdi.virtual_size_bytes >= wanted {
        return Ok(String::new());
    }
    match xe.run(&vdi::resize(&vdi.uuid, wanted)) {
        // OpenNebula calls this first also for a running VM, whose driver then does it.
        Err(error) if failed_with(&error, &["VDI_IN_USE"]) => {
            report::info(format!("VDI {} is in use: it is for the VM's driver to resize it", vdi.uuid));
        }
        other => {
            other.with_context(|| format!("cannot make VDI {} {size_mb} MB large", vdi.uuid))?;
        }
    }
    Ok(String::new())
}
