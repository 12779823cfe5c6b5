//! `postmigrate SRC_HOST DST_HOST PATH VM_ID DS_ID`: the VM runs on the destination, and its folder on the source
//! goes, unless it is the same.

use super::Call;
use super::migration::Migration;
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    let Some(migration) = Migration::read(call)? else { return Ok(String::new()) };
    migration.tell_others(call, "postmigrate")?;
    if !migration.from.is_same_as(&migration.to)? && migration.to.is_folder()? {
        migration.from.remove()?;
    }
    Ok(String::new())
}
