//! `postmigrate SRC_HOST DST_HOST PATH VM_ID DS_ID`: the VM runs on the destination, and its folder on the source
//! goes, unless it is the same.

use super::migration::Migration;
use super::{Call, moved};
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    let (to, path): (String, String) = (call.word(1, "the destination")?, call.word(2, "the VM's folder")?);
    let folder = format!("{to}:{path}").parse()?;
    if let Some(migration) = Migration::read(call)? {
        migration.tell_others(call, "postmigrate")?;
        if !migration.from.is_same_as(&migration.to)? && migration.to.is_folder()? {
            migration.from.remove()?;
        }
    }
    moved::follow(call, &folder, call.word(3, "the VM's id")?, call.word(4, "the datastore's id")?)?;
    Ok(String::new())
}
