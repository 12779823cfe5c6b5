//! `failmigrate SRC_HOST DST_HOST PATH VM_ID DS_ID`: the VM stays, and the copy of its folder goes.

use super::Call;
use super::migration::Migration;
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    let Some(migration) = Migration::read(call)? else { return Ok(String::new()) };
    migration.tell_others(call, "failmigrate")?;
    if !migration.from.is_same_as(&migration.to)? && migration.from.is_folder()? {
        migration.to.remove()?;
    }
    Ok(String::new())
}
