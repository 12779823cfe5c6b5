//! SRs and the PBDs that join them to hosts (xapi `xapi_sr.ml`, `xapi_pbd.ml`).

use crate::sim::call::{Call, Run, Verb};
use crate::sim::pool::{Bytes, Pool};
use crate::sim::refuse::{Outcome, Param, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "sr-create",
        required: &["name-label", "type"],
        optional: &["host-uuid", "device-config:", "shared", "physical-size", "content-type", "sm-config:"],
        run: Run::Changes(create),
    },
    Verb { name: "sr-scan", required: &["uuid"], optional: &[], run: Run::Changes(scan) },
    Verb { name: "sr-update", required: &["uuid"], optional: &[], run: Run::Changes(scan) },
    Verb { name: "sr-forget", required: &["uuid"], optional: &[], run: Run::Changes(forget) },
    Verb { name: "sr-destroy", required: &["uuid"], optional: &[], run: Run::Changes(destroy) },
    Verb { name: "pbd-plug", required: &["uuid"], optional: &[], run: Run::Changes(plug) },
    Verb { name: "pbd-unplug", required: &["uuid"], optional: &[], run: Run::Changes(unplug) },
];

/// How large an SR is that is made without a size, in bytes.
const USUAL_SIZE: &str = "107374182400";

fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let command = call.command.clone();
    let shared = command.flag("shared", false)?;
    let host = match command.get("host-uuid") {
        Some(host) => pool.get(Class::Host, host)?.uuid.to_string(),
        None if shared || pool.rows(Class::Host).len() == 1 => pool.coordinator()?,
        None => return Err(crate::sim::refuse::Fail::NoParameter("host-uuid".into())),
    };
    let kind = command.need("type")?.to_owned();
    if !["ext", "lvm", "nfs", "iso", "file", "smb"].contains(&kind.as_str()) {
        return Err(refused("SR_UNKNOWN_DRIVER", vec![Param::text(kind)]));
    }
    let mut row = Row::new(Class::Sr, pool.new_uuid());
    row.set("name-label", command.need("name-label")?.to_owned());
    row.set("type", kind);
    let content = command.get("content-type").filter(|content| !content.is_empty());
    row.set("content-type", content.unwrap_or("user").to_owned());
    row.set("shared", shared.to_string());
    let size = command
        .get("physical-size")
        .and_then(|_| command.bytes("physical-size").ok())
        .filter(|size| *size > 0);
    row.set("physical-size", size.map_or(USUAL_SIZE.to_owned(), |size| size.to_string()));
    for (key, value) in command.map("sm-config").iter().rev() {
        row.put("sm-config", key, (*value).to_owned());
    }
    let uuid = row.uuid.to_string();
    pool.insert(row);
    let all: Vec<String> = pool.rows(Class::Host).iter().map(|host| host.uuid.to_string()).collect();
    for host in if shared { all } else { vec![host] } {
        let mut pbd = Row::new(Class::Pbd, pool.new_uuid());
        pbd.set("sr-uuid", uuid.clone());
        pbd.set("host-uuid", host);
        for (key, value) in command.map("device-config").iter().rev() {
            pbd.put("device-config", key, (*value).to_owned());
        }
        pool.insert(pbd);
    }
    call.out.line(&uuid);
    Ok(())
}

fn scan(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let sr = pool.get(Class::Sr, call.command.need("uuid")?)?;
    let host = |row: &&Row| storage::is_reachable(pool, &sr.uuid, &row.uuid);
    if !pool.rows(Class::Host).iter().any(|row| host(&row)) {
        return Err(refused("SR_NO_PBDS", vec![pool.param(Class::Sr, &sr.uuid)]));
    }
    // The records of volumes that are gone go (xapi_sr.ml `update_vdis`), and then their VBDs (db_gc.ml).
    let lost: Vec<String> = pool
        .referring(Class::Vdi, "sr-uuid", &sr.uuid)
        .iter()
        .filter(|vdi| vdi.is(storage::LOST))
        .map(|vdi| vdi.uuid.to_string())
        .collect();
    for vdi in lost {
        super::vdi::drop_vbds(pool, &vdi)?;
        pool.remove(Class::Vdi, &vdi);
    }
    Ok(())
}

/// Takes the records of an SR, its PBDs and its VDIs away; gives back the VDIs.
fn drop_records(pool: &mut Pool, uuid: &str) -> Vec<String> {
    let vdis = pool.referring_uuids(Class::Vdi, "sr-uuid", uuid);
    for (class, name) in [(Class::Vdi, "sr-uuid"), (Class::Pbd, "sr-uuid")] {
        for row in pool.referring_uuids(class, name, uuid) {
            pool.remove(class, &row);
        }
    }
    pool.remove(Class::Sr, uuid);
    vdis
}

fn check_detached(pool: &Pool, uuid: &str) -> Outcome<()> {
    let pbds = pool.referring(Class::Pbd, "sr-uuid", uuid);
    if pbds.iter().any(|pbd| pbd.is("currently-attached")) {
        return Err(refused("SR_HAS_PBD", vec![pool.param(Class::Sr, uuid)]));
    }
    Ok(())
}

fn forget(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = pool.get(Class::Sr, call.command.need("uuid")?)?.uuid.to_string();
    check_detached(pool, &uuid)?;
    drop_records(pool, &uuid);
    Ok(())
}

/// Only an empty SR that one host has plugged can be destroyed.
fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let uuid = pool.get(Class::Sr, call.command.need("uuid")?)?.uuid.to_string();
    if pool.get(Class::Sr, &uuid)?.entry("other-config", "indestructible") == Some("true") {
        return Err(refused("SR_INDESTRUCTIBLE", vec![pool.param(Class::Sr, &uuid)]));
    }
    if !pool.referring(Class::Vdi, "sr-uuid", &uuid).is_empty() {
        return Err(refused("SR_NOT_EMPTY", vec![]));
    }
    for vdi in drop_records(pool, &uuid) {
        pool.bytes.push(Bytes::Delete(vdi));
    }
    Ok(())
}

fn plug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    pool.set(Class::Pbd, call.command.need("uuid")?, "currently-attached", "true")
}

fn unplug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let pbd = pool.get(Class::Pbd, call.command.need("uuid")?)?;
    let (uuid, sr, host) =
        (pbd.uuid.to_string(), pbd.get("sr-uuid").to_owned(), pbd.get("host-uuid").to_owned());
    for vdi in pool.referring(Class::Vdi, "sr-uuid", &sr) {
        let here = storage::attached(pool, &vdi.uuid).into_iter().any(|vbd| {
            pool.find(Class::Vm, vbd.get("vm-uuid")).is_some_and(|vm| vm.get("resident-on") == host)
        });
        if here {
            return Err(refused("VDI_IN_USE", vec![pool.param(Class::Vdi, &vdi.uuid)]));
        }
    }
    pool.set(Class::Pbd, &uuid, "currently-attached", "false")
}
