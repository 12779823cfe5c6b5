//! `premigrate SRC_HOST DST_HOST PATH VM_ID DS_ID`: the VM's folder is on the destination before the VM is.

use super::Call;
use super::migration::Migration;
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    let Some(migration) = Migration::read(call)? else { return Ok(String::new()) };
    if !migration.from.is_same_as(&migration.to)? {
        let limit = call.conf.seconds("XE_TRANSFER_TIMEOUT", 14_400)?;
        migration.from.copy_folder(&migration.to, limit, None)?;
    }
    migration.tell_others(call, "premigrate")?;
    Ok(String::new())
}
