//! Fields of SRs, PBDs, VDIs and VBDs (xapi `records.ml` `sr_record`, `pbd_record`, `vdi_record`, `vbd_record`).

use super::{Field, Get, Members, NOWHERE, Pairs, Set, mro, mrw, referring, ro, rw, sro, srw, word};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

/// SRs.
pub const SR: &[Field] = &[
    ro("uuid", Get::Kept),
    rw("name-label", Get::Kept, Set::Text),
    rw("name-description", Get::Kept, Set::Text),
    ro("host", Get::Made(sr_host)),
    sro("allowed-operations", Members::Made(|_, row| sr_operations(row))),
    sro("current-operations", Members::Kept),
    sro("VDIs", Members::Made(|pool, row| referring(pool, Class::Vdi, "sr-uuid", row))),
    sro("PBDs", Members::Made(|pool, row| referring(pool, Class::Pbd, "sr-uuid", row))),
    ro("virtual-allocation", Get::Made(|pool, row| storage::allocated(pool, &row.uuid).to_string())),
    ro("physical-utilisation", Get::Made(|pool, row| storage::used(pool, &row.uuid).to_string())),
    ro("physical-size", Get::Kept),
    ro("type", Get::Kept),
    ro("content-type", Get::Kept),
    rw("shared", Get::Kept, Set::Flag),
    ro("introduced-by", Get::Always(NOWHERE)),
    ro("is-tools-sr", Get::Made(|_, row| row.is("is-tools-sr").to_string())),
    mrw("other-config"),
    mro("sm-config", Pairs::Kept),
    ro("blobs", Get::Always("")),
    ro("local-cache-enabled", Get::Always("false")),
    srw("tags", ", ", false),
    ro("clustered", Get::Always("false")),
];

fn sr_host(pool: &Pool, row: &Row) -> String {
    let pbds = pool.referring(Class::Pbd, "sr-uuid", &row.uuid);
    match pbds.as_slice() {
        [] => NOWHERE.to_owned(),
        [pbd] => {
            pool.find(Class::Host, pbd.get("host-uuid")).map_or(NOWHERE, |host| host.get("name-label")).into()
        }
        _ => "<shared>".to_owned(),
    }
}

fn sr_operations(row: &Row) -> Vec<String> {
    let all: &[&str] = if row.get("content-type") == "iso" {
        &["VDI.introduce", "unplug", "plug", "PBD.create", "update", "PBD.destroy", "VDI.clone", "scan"]
    } else {
        &[
            "VDI.enable_cbt",
            "VDI.list_changed_blocks",
            "unplug",
            "plug",
            "PBD.create",
            "VDI.disable_cbt",
            "update",
            "PBD.destroy",
            "VDI.resize",
            "VDI.clone",
            "scan",
            "VDI.snapshot",
            "VDI.mirror",
            "VDI.create",
            "VDI.destroy",
            "VDI.data_destroy",
            "VDI.set_on_boot",
        ]
    };
    all.iter().map(|&operation| operation.to_owned()).collect()
}

/// PBDs.
pub const PBD: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("host", Get::UuidIn("host-uuid", Class::Host)).deprecated(),
    ro("host-uuid", Get::Uuid(Class::Host)),
    ro("host-name-label", Get::NameOf("host-uuid", Class::Host)),
    ro("sr-uuid", Get::Uuid(Class::Sr)),
    ro("sr-name-label", Get::NameOf("sr-uuid", Class::Sr)),
    mro("device-config", Pairs::Kept),
    ro("currently-attached", Get::Kept),
    mrw("other-config"),
];

/// VDIs.
pub const VDI: &[Field] = &[
    ro("uuid", Get::Kept),
    rw("name-label", Get::Kept, Set::Text),
    rw("name-description", Get::Kept, Set::Text),
    ro("is-a-snapshot", Get::Kept),
    ro("snapshot-of", Get::Uuid(Class::Vdi)),
    ro(
        "snapshots",
        Get::Made(|pool, row| pool.referring_uuids(Class::Vdi, "snapshot-of", &row.uuid).join("; ")),
    ),
    ro("snapshot-time", Get::Kept),
    sro("allowed-operations", Members::Made(storage::vdi_operations)),
    sro("current-operations", Members::Kept),
    ro("sr-uuid", Get::Uuid(Class::Sr)),
    ro("sr-name-label", Get::NameOf("sr-uuid", Class::Sr)),
    sro("vbd-uuids", Members::Made(|pool, row| referring(pool, Class::Vbd, "vdi-uuid", row))),
    sro("crashdump-uuids", Members::Kept),
    ro("virtual-size", Get::Kept),
    ro("physical-utilisation", Get::Made(|pool, row| storage::utilisation(pool, row).to_string())),
    ro("location", Get::Kept),
    ro("type", Get::Kept),
    ro("sharable", Get::Kept),
    ro("read-only", Get::Kept),
    ro("storage-lock", Get::Always("false")),
    ro("managed", Get::Kept),
    ro("parent", Get::Always(NOWHERE)).deprecated(),
    ro("missing", Get::Kept),
    ro("is-tools-iso", Get::Kept),
    mrw("other-config"),
    mro("xenstore-data", Pairs::Kept),
    mro("sm-config", Pairs::Kept),
    rw("on-boot", Get::Kept, Set::Own(on_boot)),
    rw("allow-caching", Get::Kept, Set::Flag),
    ro("metadata-latest", Get::Always("false")),
    ro("metadata-of-pool", Get::Always(NOWHERE)),
    srw("tags", ", ", false),
    ro("cbt-enabled", Get::Kept),
];

fn on_boot(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let words = [("persist", "persist"), ("reset", "reset")];
    let kept = word(&words, value, || super::expected(&words, value))?;
    storage::check(pool, pool.get(Class::Vdi, uuid)?, storage::Op::SetOnBoot)?;
    pool.set(Class::Vdi, uuid, "on-boot", kept)
}

/// VBDs.
pub const VBD: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("vm-uuid", Get::Uuid(Class::Vm)),
    ro("vm-name-label", Get::NameOf("vm-uuid", Class::Vm)),
    ro("vdi-uuid", Get::Uuid(Class::Vdi)),
    ro("vdi-name-label", Get::Made(vdi_name)),
    sro("allowed-operations", Members::Made(storage::vbd_operations)),
    sro("current-operations", Members::Kept),
    ro("empty", Get::Kept),
    ro("device", Get::Kept),
    rw("userdevice", Get::Kept, Set::Own(userdevice)),
    rw("bootable", Get::Kept, Set::Flag),
    rw("mode", Get::Kept, Set::Own(mode)),
    rw("type", Get::Kept, Set::Own(kind)),
    rw("unpluggable", Get::Kept, Set::Flag),
    ro("currently-attached", Get::Kept),
    ro("attachable", Get::Made(storage::attachable)).expensive(),
    ro("storage-lock", Get::Always("false")),
    ro("status-code", Get::Always("0")),
    ro("status-detail", Get::Always("")),
    rw("qos_algorithm_type", Get::Kept, Set::Text),
    mrw("qos_algorithm_params"),
    sro("qos_supported_algorithms", Members::Kept),
    mrw("other-config"),
    ro("io_read_kbs", Get::Made(|_, row| rate(row))).expensive(),
    ro("io_write_kbs", Get::Made(|_, row| rate(row))).expensive(),
];

/// Only an attached device has a rate.
fn rate(row: &Row) -> String {
    if row.is("currently-attached") { "0.000" } else { "<unknown>" }.to_owned()
}

fn vdi_name(pool: &Pool, row: &Row) -> String {
    if row.is("empty") {
        return "<EMPTY>".to_owned();
    }
    pool.find(Class::Vdi, row.get("vdi-uuid")).map_or(NOWHERE, |vdi| vdi.get("name-label")).to_owned()
}

fn userdevice(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    if !storage::is_device(value) {
        return Err(refused("INVALID_DEVICE", vec![Param::text(value)]));
    }
    pool.set(Class::Vbd, uuid, "userdevice", value)
}

fn mode(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let words = [("ro", "RO"), ("rw", "RW")];
    let kept = word(&words, value, || super::expected(&words, value))?;
    pool.set(Class::Vbd, uuid, "mode", kept)
}

fn kind(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let words = [("cd", "CD"), ("disk", "Disk"), ("floppy", "Floppy")];
    let kept = word(&words, value, || super::expected(&words, value))?;
    pool.set(Class::Vbd, uuid, "type", kept)
}
