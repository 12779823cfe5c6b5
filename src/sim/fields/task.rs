//! Fields of tasks, consoles and messages (xapi `records.ml` `task_record`, `console_record`, `message_record`).

use super::{Field, Get, NOWHERE, mrw, ro};
use crate::sim::row::Class;

/// Tasks: calls that have to wait (see `sim::task`).
pub const TASK: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("name-label", Get::Kept),
    ro("name-description", Get::Kept),
    ro("subtask_of", Get::Always(NOWHERE)),
    ro("subtasks", Get::Always("")),
    ro("resident-on", Get::Made(|pool, _| pool.coordinator().unwrap_or_default())),
    ro("status", Get::Kept),
    ro("progress", Get::Kept),
    ro("type", Get::Kept),
    ro("result", Get::Kept),
    ro("created", Get::Kept),
    ro("finished", Get::Kept),
    ro("error_info", Get::Kept),
    ro("allowed_operations", Get::Kept),
    ro("current_operations", Get::Kept),
    mrw("other-config"),
];

/// Consoles.
pub const CONSOLE: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("vm-uuid", Get::Uuid(Class::Vm)),
    ro("vm-name-label", Get::NameOf("vm-uuid", Class::Vm)),
    ro("protocol", Get::Kept),
    ro("location", Get::Kept),
    mrw("other-config"),
];

/// Messages.
pub const MESSAGE: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("name", Get::Kept),
    ro("priority", Get::Kept),
    ro("class", Get::Kept),
    ro("obj-uuid", Get::Kept),
    ro("timestamp", Get::Kept),
    ro("body", Get::Kept),
];
