//! `mv SRC_HOST:PATH DST_HOST:PATH VM_ID DS_ID`: a VM's folder from host to host. VDIs stay where they are, and a
//! disk by itself goes with its folder.

use super::place::Place;
use super::{Call, show};
use crate::report::{self, Result};

/// BOOT_UNKNOWN, PROLOG_MIGRATE_UNKNOWN and its failure: the source is not to be relied on (tm/ceph/mv).
const WITHOUT_SOURCE: [&str; 3] = ["16", "60", "61"];

pub fn run(call: &Call) -> Result<String> {
    let (from, to): (Place, Place) = (call.word(0, "the source")?, call.word(1, "the destination")?);
    let vm_id: u32 = call.word(2, "the VM's id")?;
    if to.disk_id().is_some() {
        return Ok(String::new());
    }
    if WITHOUT_SOURCE.contains(&show::vm(vm_id)?.text("LCM_STATE")) {
        report::info(format!("the VM's host is not known to be well: nothing is moved from {from}"));
        return Ok(String::new());
    }
    if from.is_same_as(&to)? {
        return Ok(String::new());
    }
    if !from.is_folder()? {
        // Moved by an earlier call whose answer was lost.
        anyhow::ensure!(to.is_folder()?, "there is no folder {from}");
        return Ok(String::new());
    }
    from.copy_folder(&to, call.conf.seconds("XE_TRANSFER_TIMEOUT", 14_400)?, None)?;
    from.remove()?;
    Ok(String::new())
}
