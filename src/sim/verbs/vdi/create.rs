//! New disks (xapi `xapi_vdi.ml` `create`, `introduce`).

use crate::sim::call::Call;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, internal, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

fn kind(name: &str) -> Outcome<&'static str> {
    match name {
        "system" => Ok("System"),
        "user" => Ok("User"),
        "suspend" => Ok("Suspend"),
        "crashdump" => Ok("Crashdump"),
        _ => cli(format!("Unknown vdi type: {name}")),
    }
}

pub fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = &call.command;
    let sr = pool.get(Class::Sr, command.need("sr-uuid")?)?.uuid.to_string();
    let size = command.bytes("virtual-size")?;
    let kind = kind(command.get("type").unwrap_or("user"))?;
    let sharable = command.flag("sharable", false)?;
    let mut row = new_disk(pool, &sr, command.need("name-label")?, size)?;
    row.set("type", kind);
    row.set("sharable", sharable.to_string());
    for (key, value) in command.map("sm-config").iter().rev() {
        row.put("sm-config", key, (*value).to_owned());
    }
    for (tag, _) in command.map("tags").iter().rev() {
        row.put("tags", tag, "");
    }
    let uuid = row.uuid.to_string();
    pool.insert(row);
    call.out.list(&[uuid]);
    Ok(())
}

/// The row of a new disk, once the SR has agreed to it.
pub fn new_disk(pool: &mut Pool, sr: &str, name: &str, size: i64) -> Outcome<Row> {
    if !storage::is_plugged(pool, sr) {
        return Err(refused("SR_NO_PBDS", vec![pool.param(Class::Sr, sr)]));
    }
    if pool.get(Class::Sr, sr)?.is("is-tools-sr") {
        return Err(refused("SR_OPERATION_NOT_SUPPORTED", vec![pool.param(Class::Sr, sr)]));
    }
    storage::check_size(size)?;
    storage::check_new(pool, sr, size)?;
    let mut row = Row::new(Class::Vdi, pool.new_uuid());
    row.set("name-label", name.to_owned());
    row.set("sr-uuid", sr.to_owned());
    row.set("location", row.uuid.clone());
    row.set("virtual-size", size.to_string());
    Ok(row)
}

/// The storage below knows no disk whose record is not there.
pub fn introduce(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.get(Class::Sr, call.command.need("sr-uuid")?)?;
    kind(call.command.need("type")?)?;
    let location = call.command.need("location")?;
    Err(internal(format!("Storage_error ([S(Vdi_does_not_exist);S({location})])")))
}
