//! Changed block tracking (xapi `xapi_vdi.ml`).

use crate::sim::call::Call;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, refused};
use crate::sim::row::Class;
use crate::sim::storage::{self, Op, tracking};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub fn enable(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?;
    storage::check(pool, pool.get(Class::Vdi, uuid)?, Op::EnableCbt)?;
    tracking::enable(pool, uuid)
}

pub fn disable(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?;
    storage::check(pool, pool.get(Class::Vdi, uuid)?, Op::DisableCbt)?;
    tracking::disable(pool, uuid)
}

/// XAPI waits 4 seconds for the VBDs to go; here nobody would take them away.
pub fn data_destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = call.command.need("uuid")?;
    let disk = pool.get(Class::Vdi, uuid)?;
    storage::check(pool, disk, Op::DataDestroy)?;
    if disk.get("type") == tracking::METADATA {
        return Ok(());
    }
    if !pool.referring(Class::Vbd, "vdi-uuid", uuid).is_empty() {
        let params = vec![pool.param(Class::Vdi, uuid), Param::text("data_destroy")];
        return Err(refused("VDI_IN_USE", params));
    }
    storage::keep_log_only(pool, uuid)
}

pub fn list_changed_blocks(pool: &Pool, call: &mut Call) -> Outcome<()> {
    let from = pool.get(Class::Vdi, call.command.need("vdi-from-uuid")?)?;
    let to = pool.get(Class::Vdi, call.command.need("vdi-to-uuid")?)?;
    storage::check(pool, to, Op::ListChangedBlocks)?;
    let changes = tracking::changes(pool, &from.uuid, &to.uuid)?;
    call.out.line(&STANDARD.encode(changes));
    Ok(())
}
