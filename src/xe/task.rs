//! XAPI's tasks. What a call has set off goes on there when its `xe` is killed (xapi cli_operations.ml `waiter`).

use super::{Call, Record, Uuid, Xe, call, record, time};
use crate::report::Result;
use anyhow::Context;

/// A task that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub uuid: Uuid,
    /// The API call that it is, `VDI.create`, in asynchronous form `Async.VM.clean_shutdown`.
    pub name_label: String,
    /// Seconds since 1970, by the coordinator's clock.
    pub created: Option<u64>,
}

/// Names are those of API calls, and may be anybody's who has a login of the pool, but no tenant's.
const FIELDS: [&str; 3] = ["uuid", "name-label", "created"];

impl Task {
    fn read(record: &Record<'_>) -> Result<Task> {
        Ok(Task {
            uuid: record.get("uuid")?,
            name_label: record.text("name-label").to_owned(),
            created: time::unix(record.text("created")),
        })
    }

    /// The pool's tasks that are not over; asked even after this program was told to stop.
    pub fn pending(xe: &Xe) -> Result<Vec<Task>> {
        let list = call("task-list").set("status", "pending").set("params", FIELDS.join(","));
        let answer = xe.undo(&list)?;
        record::parse(&answer, &FIELDS)
            .iter()
            .map(Task::read)
            .collect::<Result<_>>()
            .context(list.to_string())
    }
}

/// Asks a task to end. One that does no waiting goes on to its end (xapi xapi_task.ml `cancel`).
pub fn cancel(uuid: &Uuid) -> Call {
    call("task-cancel").set("uuid", uuid)
}
