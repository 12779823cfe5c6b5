//! XAPI virtual disk images.

use super::{Call, Record, Uuid, Xe, call};
use crate::report::Result;

const FIELDS: [&str; 8] = [
    "uuid",
    "sr-uuid",
    "vbd-uuids",
    "virtual-size",
    "is-a-snapshot",
    "tags",
    "allowed-operations",
    "cbt-enabled",
];

/// The `type` of a snapshot whose data was destroyed (record_util.ml `vdi_type_to_string`).
pub const LOG_ONLY: &str = "CBT metadata";

/// A VDI as the pool has it.
#[derive(Clone, Debug)]
pub struct Vdi {
    pub uuid: Uuid,
    pub sr_uuid: Uuid,
    pub vbds: usize,
    pub virtual_size_bytes: u64,
    pub is_a_snapshot: bool,
    pub tags: Vec<String>,
    /// Whether what changes in it is logged.
    pub is_tracked: bool,
    /// What XAPI would let one do with it at this moment.
    allowed_operations: Vec<String>,
}

impl Vdi {
    fn read(record: &Record<'_>) -> Result<Vdi> {
        Ok(Vdi {
            uuid: record.get("uuid")?,
            sr_uuid: record.get("sr-uuid")?,
            vbds: record.members("vbd-uuids").count(),
            virtual_size_bytes: record.get("virtual-size")?,
            is_a_snapshot: record.text("is-a-snapshot") == "true",
            tags: record.members("tags").map(str::to_owned).collect(),
            is_tracked: record.text("cbt-enabled") == "true",
            allowed_operations: record.members("allowed-operations").map(str::to_owned).collect(),
        })
    }

    fn list(xe: &Xe, filters: &[(&str, &str)]) -> Result<Vec<Vdi>> {
        let found = xe.list("vdi", &FIELDS, filters, Vdi::read)?;
        for vdi in &found {
            xe.sr_turns.learn(&vdi.uuid, &vdi.sr_uuid);
        }
        Ok(found)
    }

    /// The VDI with this uuid; `None` when the pool has none.
    pub fn find(xe: &Xe, uuid: &Uuid) -> Result<Option<Vdi>> {
        Ok(Vdi::list(xe, &[("uuid", &uuid.to_string())])?.pop())
    }

    /// Whether XAPI would let one do this with it at this moment (xapi_vdi.ml `check_operation_error`).
    pub fn allows(&self, operation: &str) -> bool {
        self.allowed_operations.iter().any(|allowed| allowed == operation)
    }

    /// All VDIs of the pool.
    pub fn all(xe: &Xe) -> Result<Vec<Vdi>> {
        Vdi::list(xe, &[])
    }

    /// The VDIs with this tag.
    pub fn with_tag(xe: &Xe, tag: &str) -> Result<Vec<Vdi>> {
        Vdi::list(xe, &[("tags:contains", tag)])
    }

    /// The VDIs with this name-label. Names are nobody's property: what is done to them depends on their tags too.
    pub fn with_name(xe: &Xe, name_label: &str) -> Result<Vec<Vdi>> {
        Vdi::list(xe, &[("name-label", name_label)])
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|there| there == tag)
    }
}

/// Makes an empty VDI. The tags are part of the creation; `other-config` could not be (cli_operations.ml:1934).
pub fn create(sr: &Uuid, name_label: &str, size_bytes: u64, tags: &[String]) -> Call {
    let call = call("vdi-create")
        .set("sr-uuid", sr)
        .set("name-label", name_label)
        .set("virtual-size", size_bytes)
        .set("type", "user");
    call.set_all(tags.iter().map(|tag| (format!("tags:{tag}"), "")))
}

pub fn destroy(uuid: &Uuid) -> Call {
    call("vdi-destroy").set("uuid", uuid)
}

/// Whether the pool has a VDI with this uuid; asked even after this program was told to stop.
pub fn is_there(xe: &Xe, uuid: &Uuid) -> Result<bool> {
    let found = xe.undo(&call("vdi-list").set("uuid", uuid).set("params", "uuid").set("minimal", true))?;
    Ok(!found.trim().is_empty())
}

/// The VDIs with these marks, fields and their values; asked even after this program was told to stop.
pub fn marked(xe: &Xe, marks: &[(&str, &str)]) -> Result<Vec<Uuid>> {
    let list = call("vdi-list").set_all(marks.iter().map(|(field, value)| ((*field).to_owned(), *value)));
    let found = xe.undo(&list.set("params", "uuid").set("minimal", true))?;
    found.trim().split(',').filter(|uuid| !uuid.is_empty()).map(str::parse).collect()
}

/// Grows a VDI that is not in use.
pub fn resize(uuid: &Uuid, size_bytes: u64) -> Call {
    call("vdi-resize").set("uuid", uuid).set("disk-size", size_bytes)
}

/// Grows a VDI in use. XAPI took this call away with XenServer 7.3, no SR of its time being able to
/// (datamodel.ml `resize_online`).
pub fn resize_online(uuid: &Uuid, size_bytes: u64) -> Call {
    resize(uuid, size_bytes).set("online", true)
}

/// A copy-on-write copy in the same SR, also of a VDI in use. It has its name and description from its first
/// moment, no tags, and the `other-config` of what it is a copy of (xapi_vdi.ml `snapshot_and_clone`).
pub fn clone(uuid: &Uuid, name_label: &str, description: &str) -> Call {
    call("vdi-clone")
        .set("uuid", uuid)
        .set("new-name-label", name_label)
        .set("new-name-description", description)
}

/// A snapshot, of a disk that is in use too; it has the name of the disk.
pub fn snapshot(uuid: &Uuid) -> Call {
    call("vdi-snapshot").set("uuid", uuid)
}

/// A full copy of all blocks into a VDI that is there and at least as large.
pub fn copy_into(uuid: &Uuid, into: &Uuid) -> Call {
    call("vdi-copy").set("uuid", uuid).set("into-vdi-uuid", into)
}

/// A full copy in another SR, with its name and tags.
pub fn copy_to(uuid: &Uuid, sr: &Uuid) -> Call {
    call("vdi-copy").set("uuid", uuid).set("sr-uuid", sr)
}

pub fn add_tag(uuid: &Uuid, tag: &str) -> Call {
    call("vdi-param-add").set("uuid", uuid).set("param-name", "tags").set("param-key", tag)
}

pub fn remove_tag(uuid: &Uuid, tag: &str) -> Call {
    call("vdi-param-remove").set("uuid", uuid).set("param-name", "tags").set("param-key", tag)
}

/// Sets a key of its `other-config`, which snapshots and clones of it then have from their first moment.
pub fn mark(uuid: &Uuid, key: &str, value: impl std::fmt::Display) -> Call {
    call("vdi-param-set").set("uuid", uuid).set(format!("other-config:{key}"), value)
}

pub fn unmark(uuid: &Uuid, key: &str) -> Call {
    call("vdi-param-remove").set("uuid", uuid).set("param-name", "other-config").set("param-key", key)
}

pub fn rename(uuid: &Uuid, name_label: &str) -> Call {
    call("vdi-param-set").set("uuid", uuid).set("name-label", name_label)
}
