//! Rules of SRs, VDIs and VBDs: kinds of SRs, room, trees of disks, sharing (xapi `xapi_vdi.ml`, `xapi_vbd_helpers.ml`;
//! sm `VDI.py`, `FileSR.py`, `LVHDSR.py`).

pub mod busy;
mod devices;
pub mod kind;
mod operations;
mod room;
pub mod tracking;
mod tree;
mod vhd;

pub use devices::{
    free as free_devices, guest_device, is_device, is_taken as is_device_taken, vbd_operations,
};
pub use operations::{Op, check, vdi_operations};
pub use room::{allocated, check_growth, check_new, check_written, used, utilisation};
pub use tree::{adopt, branch};
pub use vhd::check_size;

use super::pool::{Bytes, Pool};
use super::refuse::{Outcome, Param, refused};
use super::row::{Class, Row};

/// What a disk has whose volume has no room to be written to: a snapshot on logical volumes.
pub const DEFLATED: &str = "sim-deflated";

/// What a disk has whose volume is gone: XAPI has gone back to a database in which it was not destroyed yet.
pub const LOST: &str = "sim-lost";

/// What an SR has whose storage manager has the capability `VDI_RESIZE_ONLINE`.
pub const GROWS_ONLINE: &str = "sim-grows-online";

/// A disk's record and bytes go, and its place in the tree of disks and in the chain of logs.
pub fn remove(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    tree::leave(pool, uuid)?;
    tracking::leave(pool, uuid)?;
    pool.remove(Class::Vdi, uuid);
    pool.bytes.push(Bytes::Delete(uuid.to_owned()));
    Ok(())
}

/// Only the log of a snapshot stays.
pub fn keep_log_only(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    tree::leave(pool, uuid)?;
    pool.set(Class::Vdi, uuid, "type", tracking::METADATA)?;
    pool.bytes.push(Bytes::Empty(uuid.to_owned()));
    Ok(())
}

/// What a storage manager refuses with: a number and a sentence.
pub fn backend(number: u32, text: &str) -> super::refuse::Fail {
    let params = ["", text, ""].map(Param::text);
    refused(&format!("SR_BACKEND_FAILURE_{number}"), params.into())
}

/// Refuses a snapshot of which only the log is left: nothing can be attached.
pub fn check_has_data(pool: &Pool, vdi: &str) -> Outcome<()> {
    check_there(pool, vdi)?;
    let row = pool.get(Class::Vdi, vdi)?;
    if row.get("type") == tracking::METADATA {
        let params = vec![pool.param(Class::Vdi, vdi), Param::text(tracking::METADATA)];
        return Err(refused("VDI_INCOMPATIBLE_TYPE", params));
    }
    Ok(())
}

/// Refuses a disk whose volume is gone (sm FileSR.py `FileVDI.load`, LVHDSR.py).
pub fn check_there(pool: &Pool, vdi: &str) -> Outcome<()> {
    let is_lost = pool.find(Class::Vdi, vdi).is_some_and(|row| row.is(LOST));
    if is_lost { Err(backend(46, "The VDI is not available")) } else { Ok(()) }
}

/// Whether any host has plugged the SR.
pub fn is_plugged(pool: &Pool, sr: &str) -> bool {
    pool.referring(Class::Pbd, "sr-uuid", sr).iter().any(|pbd| pbd.is("currently-attached"))
}

/// Whether a host reaches an SR: a PBD joins them and is plugged.
pub fn is_reachable(pool: &Pool, sr: &str, host: &str) -> bool {
    let pbds = pool.referring(Class::Pbd, "sr-uuid", sr);
    pbds.iter().any(|pbd| pbd.get("host-uuid") == host && pbd.is("currently-attached"))
}

/// Whether the SR holds images of CDs.
pub fn is_iso(pool: &Pool, sr: &str) -> bool {
    pool.find(Class::Sr, sr).is_some_and(|sr| sr.get("content-type") == "iso")
}

/// The VBDs through which a VDI is attached now.
pub fn attached<'p>(pool: &'p Pool, vdi: &str) -> Vec<&'p Row> {
    let mut vbds = pool.referring(Class::Vbd, "vdi-uuid", vdi);
    vbds.retain(|vbd| vbd.is("currently-attached"));
    vbds
}

/// Refuses an operation on a VDI that is attached; `reading` ones pass if nobody writes to it.
pub fn check_unused(pool: &Pool, vdi: &str, operation: &str, reading: bool) -> Outcome<()> {
    let in_the_way = attached(pool, vdi).iter().any(|vbd| !reading || vbd.get("mode") == "RW");
    if in_the_way {
        return Err(refused("VDI_IN_USE", vec![pool.param(Class::Vdi, vdi), Param::text(operation)]));
    }
    Ok(())
}

/// Refuses to attach a VBD whose VDI is already attached, or would be twice in one VM, and is written to.
pub fn check_sharing(pool: &Pool, vbd: &Row) -> Outcome<()> {
    let vm = vbd.get("vm-uuid");
    refuse_sharing(pool, vbd, |other| other.is("currently-attached") || other.get("vm-uuid") == vm)
}

/// Refuses if the VDI is written to through the VBD and another one that is `in_use`.
fn refuse_sharing(pool: &Pool, vbd: &Row, in_use: impl Fn(&Row) -> bool) -> Outcome<()> {
    let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) else { return Ok(()) };
    let writes = |row: &Row| row.get("mode") == "RW";
    let clash = pool
        .referring(Class::Vbd, "vdi-uuid", &vdi.uuid)
        .iter()
        .any(|other| other.uuid != vbd.uuid && in_use(other) && (writes(other) || writes(vbd)));
    if clash && !vdi.is("sharable") {
        return Err(refused("VDI_IN_USE", vec![pool.param(Class::Vdi, &vdi.uuid)]));
    }
    Ok(())
}

/// `attachable` of a VBD.
pub fn attachable(pool: &Pool, row: &Row) -> String {
    match refuse_sharing(pool, row, |other| other.is("currently-attached")) {
        Ok(()) => "true".to_owned(),
        Err(fail) => {
            let said = fail.said(true).stderr;
            let raised = said.lines().find_map(|line| line.strip_prefix("Raised ")).unwrap_or_default();
            format!("false (error: {raised})")
        }
    }
}
