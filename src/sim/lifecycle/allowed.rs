//! The names of operations, and which of them a VM allows in which state.

use crate::sim::guest;
use crate::sim::pool::Pool;
use crate::sim::row::Row;

/// The names of all operations, for `blocked-operations`.
pub const OPERATIONS: &[&str] = &[
    "changing_dynamic_range",
    "changing_static_range",
    "changing_shadow_memory",
    "clean_reboot",
    "clean_shutdown",
    "clone",
    "snapshot",
    "checkpoint",
    "copy",
    "revert",
    "provision",
    "destroy",
    "export",
    "metadata_export",
    "import",
    "hard_reboot",
    "hard_shutdown",
    "migrate_send",
    "pause",
    "resume",
    "resume_on",
    "changing_VCPUs_live",
    "changing_NVRAM",
    "start",
    "start_on",
    "shutdown",
    "suspend",
    "unpause",
    "make_into_template",
    "pool_migrate",
    "power_state_reset",
    "create_vtpm",
];

/// `allowed-operations`, as recorded in each state.
pub fn allowed_operations(_: &Pool, row: &Row) -> Vec<String> {
    let operations: &[&str] = match row.get("power-state") {
        _ if row.is("is-control-domain") => &["metadata_export", "changing_dynamic_range"],
        "suspended" if row.is("is-a-snapshot") => {
            &["destroy", "metadata_export", "export", "hard_shutdown", "revert", "copy", "clone"]
        }
        _ if row.is("is-a-snapshot") => &["destroy", "metadata_export", "export", "revert", "copy", "clone"],
        _ if row.is("is-a-template") => {
            &["changing_NVRAM", "changing_dynamic_range", "changing_shadow_memory", "changing_static_range"]
        }
        "running" if guest::has_tools(row) => &[
            "metadata_export",
            "changing_dynamic_range",
            "migrate_send",
            "pool_migrate",
            "changing_VCPUs_live",
            "suspend",
            "hard_reboot",
            "hard_shutdown",
            "clean_reboot",
            "clean_shutdown",
            "pause",
            "checkpoint",
            "snapshot",
        ],
        "running" => &[
            "metadata_export",
            "changing_dynamic_range",
            "hard_reboot",
            "hard_shutdown",
            "pause",
            "snapshot",
        ],
        "paused" if guest::has_tools(row) => {
            &["metadata_export", "hard_reboot", "hard_shutdown", "unpause", "checkpoint", "snapshot"]
        }
        "paused" => &["metadata_export", "hard_reboot", "hard_shutdown", "unpause", "snapshot"],
        "suspended" => &[
            "destroy",
            "metadata_export",
            "export",
            "migrate_send",
            "hard_shutdown",
            "resume_on",
            "resume",
            "checkpoint",
            "snapshot",
        ],
        _ => &[
            "create_vtpm",
            "destroy",
            "metadata_export",
            "export",
            "make_into_template",
            "changing_NVRAM",
            "changing_shadow_memory",
            "changing_static_range",
            "changing_dynamic_range",
            "migrate_send",
            "start_on",
            "start",
            "copy",
            "clone",
            "snapshot",
        ],
    };
    let blocked = |name: &&&str| row.entry("blocked-operations", name).is_none();
    operations.iter().filter(blocked).map(|&name| name.to_owned()).collect()
}
