//! What an action has set off in XAPI and is still in progress there: `xe` was killed at its time limit, or the action
//! with it, and XAPI goes on (up to 20 minutes with a clean shutdown, xapi `domain_shutdown_total_timeout`).

use crate::lock::VmLock;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::task::{self, Task};
use crate::xe::{Record, Uuid, Xe, vm};
use anyhow::ensure;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// API calls that make what later has to be found and cleared away, or that start the VM. They end by themselves.
const MAKES: [&str; 9] = [
    "VDI.create",
    "VDI.clone",
    "VDI.snapshot",
    "VM.clone",
    "VM.copy",
    "VM.provision",
    "VBD.create",
    "Async.VM.start_on",
    "Async.VM.start",
];

/// XAPI lets a call that comes second on an SR sleep for up to 20 s, and then try again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(500);

/// By how much the clocks of a pool and of this machine may differ, in seconds.
const CLOCKS_DIFFER: u64 = 60;

/// A task is created this many seconds after `xe` was started, at most.
const TASK_BEGINS: u64 = 5;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Waits until what may be a killed action's is made, so that it is found. Others' tasks of the same kind and time are
/// waited for too, and never ended: xe does not tell what a task works on.
pub fn wait_for_made(xe: &Xe, since: Option<u64>) -> Result<()> {
    let is_meant = |task: &Task| {
        let is_younger = |since: u64| task.created.is_none_or(|created| created + CLOCKS_DIFFER >= since);
        MAKES.contains(&task.name_label.as_str()) && since.is_none_or(is_younger)
    };
    let mut left: Vec<Task> = Task::pending(xe)?.into_iter().filter(is_meant).collect();
    if left.is_empty() {
        return Ok(());
    }
    report::info(format!("XAPI is still at work for an action that ended early ({})", list(&left)));
    let end = Instant::now() + LONGEST_WAIT;
    while !left.is_empty() && Instant::now() < end && xe.stop.check().is_ok() {
        thread::sleep(LOOK);
        let pending = Task::pending(xe)?;
        left.retain(|task| pending.iter().any(|pending| pending.uuid == task.uuid));
    }
    if !left.is_empty() {
        report::warn(format!(
            "XAPI is still at work for an action that ended early: {} (xe task-list); one-xcp gc lists \
             what comes of it later",
            list(&left)
        ));
    }
    Ok(())
}

/// Operations that a hard shutdown or reboot cancels (xapi message_forwarding.ml `hard_shutdown`).
const HARD_CANCELS: [&str; 2] = ["pool_migrate", "suspend"];

/// Waits until XAPI has done what a killed action asked of the VM with this number: suspend, migrate, start it. What it
/// asked of the guest alone is ended, and not waited for, and neither is what the next call of a hard action cancels.
///
/// # Errors
///
/// It takes longer than a call of xe may.
pub fn wait_for_vm(xe: &Xe, vm_id: u32, is_hard: bool) -> Result<()> {
    let filter = format!("other-config:{}", mark::VM_ID);
    let operations = || -> Result<Vec<String>> {
        let read = |record: &Record<'_>| {
            Ok(record.members("current-operations").map(str::to_owned).collect::<Vec<_>>())
        };
        let found = xe.list("vm", &["uuid", "current-operations"], &[(&filter, &vm_id.to_string())], read)?;
        let waits_for_guest = |name: &str| Operation::ALL.iter().any(|known| known.name() == name);
        let is_cancelled = |name: &str| is_hard && HARD_CANCELS.contains(&name);
        let is_waited_for = |name: &String| !waits_for_guest(name) && !is_cancelled(name);
        Ok(found.into_iter().flatten().filter(is_waited_for).collect())
    };
    let mut left = operations()?;
    if left.is_empty() {
        return Ok(());
    }
    report::info(format!(
        "XAPI is still at work on the VM for an action that was killed ({})",
        left.join(", ")
    ));
    let end = Instant::now() + xe.limit;
    while !left.is_empty() {
        ensure!(
            Instant::now() < end,
            "XAPI is still at work on VM {vm_id} ({}) for an action that was killed: try again when it has ended \
             (xe task-list)",
            left.join(", ")
        );
        thread::sleep(LOOK);
        left = operations()?;
    }
    Ok(())
}

fn list(tasks: &[Task]) -> String {
    let named: Vec<String> = tasks.iter().map(|task| format!("{} {}", task.name_label, task.uuid)).collect();
    named.join(", ")
}

/// Something that a guest was asked to do, which XAPI waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRequest {
    vm: Uuid,
    operation: Operation,
    /// When `xe` was called, in seconds since 1970.
    began: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    CleanShutdown,
    CleanReboot,
}

impl Operation {
    const ALL: [Operation; 2] = [Operation::CleanShutdown, Operation::CleanReboot];

    /// XAPI's name of it (record_util.ml `vm_operation_to_string`).
    fn name(self) -> &'static str {
        match self {
            Operation::CleanShutdown => "clean_shutdown",
            Operation::CleanReboot => "clean_reboot",
        }
    }

    /// The task of `vm-shutdown`, of `vm-reboot` (cli_operations.ml): the one is called in asynchronous form.
    fn task(self) -> &'static str {
        match self {
            Operation::CleanShutdown => "Async.VM.clean_shutdown",
            Operation::CleanReboot => "VM.clean_reboot",
        }
    }
}

/// Begins a note of a request.
const NOTE: &str = "asks-guest";

impl GuestRequest {
    /// A request that is made now; the lock has a note of it until that is cleared.
    pub fn begin(vm: &Uuid, operation: Operation, lock: Option<&VmLock>) -> GuestRequest {
        let request = GuestRequest { vm: vm.clone(), operation, began: now() };
        lock.inspect(|lock| lock.note(&format!("{NOTE} {} {vm} {}", operation.name(), request.began)));
        request
    }

    /// The request that a note tells of, if it is of one.
    pub fn read(note: &str) -> Option<GuestRequest> {
        let mut words = note.strip_prefix(NOTE)?.split_ascii_whitespace();
        let name = words.next()?;
        let operation = Operation::ALL.into_iter().find(|known| known.name() == name)?;
        Some(GuestRequest { vm: words.next()?.parse().ok()?, operation, began: words.next()?.parse().ok()? })
    }

    /// Whether it was made of this VM's guest.
    pub fn is_of(&self, vm: &Uuid) -> bool {
        self.vm == *vm
    }

    /// Has XAPI give the request up: what `xe` was killed for goes on in XAPI, keeps the VM from all else, and powers it
    /// off when nobody expects that any more. Says what is still in progress.
    pub fn end(&self, xe: &Xe) {
        match self.try_end(xe) {
            Ok(None) => {}
            Ok(Some(why)) => report::warn(format!(
                "XAPI still waits for the guest of VM {} ({}): {why}",
                self.vm,
                self.operation.name()
            )),
            Err(error) => report::warn(format!(
                "XAPI may still wait for the guest of VM {} ({}): {error:#}",
                self.vm,
                self.operation.name()
            )),
        }
    }

    /// None if it is no longer in progress; else why it is.
    fn try_end(&self, xe: &Xe) -> Result<Option<String>> {
        let is_in_progress = || -> Result<bool> {
            let operations = vm::current_operations(xe, &self.vm)?;
            Ok(operations.iter().any(|name| name == self.operation.name()))
        };
        if !is_in_progress()? {
            return Ok(None);
        }
        let tasks: Vec<Task> =
            Task::pending(xe)?.into_iter().filter(|task| task.name_label == self.operation.task()).collect();
        let Some(task) = self.pick(&tasks) else {
            return Ok(Some(format!(
                "it is one of the tasks {}, and xe does not tell which; xe task-cancel uuid=UUID ends one",
                list(&tasks)
            )));
        };
        xe.undo(&task::cancel(&task.uuid))?;
        let end = Instant::now() + Duration::from_secs(10);
        while is_in_progress()? {
            if Instant::now() > end {
                return Ok(Some(format!("its task {} was cancelled and has not ended", task.uuid)));
            }
            thread::sleep(LOOK);
        }
        report::info(format!("XAPI no longer waits for the guest of VM {}", self.vm));
        Ok(None)
    }

    /// The request's own task among those of its kind, if there is no doubt. The VM has the operation in progress: where
    /// the pool has one such task of that time, it is the VM's. Of several tasks, it must have been created when `xe` was
    /// called, and no other within the same minute.
    fn pick<'t>(&self, tasks: &'t [Task]) -> Option<&'t Task> {
        let apart = |task: &Task| task.created.map_or(u64::MAX, |created| created.abs_diff(self.began));
        let mut near = tasks.iter().filter(|task| apart(task) <= CLOCKS_DIFFER);
        let found = near.next().filter(|task| tasks.len() == 1 || apart(task) <= TASK_BEGINS)?;
        near.next().is_none().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(last: u8) -> Uuid {
        format!("00000000-0000-4000-8000-00000000000{last}").parse().unwrap()
    }

    fn task(last: u8, created: u64) -> Task {
        Task { uuid: uuid(last), name_label: String::new(), created: Some(created) }
    }

    #[test]
    fn a_request_is_read_as_noted_and_nothing_else_is_one() {
        let vm = uuid(1);
        let request = GuestRequest { vm: vm.clone(), operation: Operation::CleanReboot, began: 7 };
        assert_eq!(GuestRequest::read(&format!("asks-guest clean_reboot {vm} 7")), Some(request));
        for note in ["", "asks-guest", "asks-guest hard_reboot u 7", "one-attempt-1-2", "7-1-2-3"] {
            assert_eq!(GuestRequest::read(note), None, "{note}");
        }
    }

    #[test]
    fn the_task_is_picked_only_without_doubt() {
        let request = GuestRequest { vm: uuid(1), operation: Operation::CleanShutdown, began: 1000 };
        let picked = |tasks: &[Task]| request.pick(tasks).and_then(|task| task.created);
        assert_eq!(picked(&[task(2, 1050)]), Some(1050), "clocks may differ");
        assert_eq!(picked(&[task(2, 1300)]), None, "somebody else asked later");
        assert_eq!(picked(&[task(2, 800), task(3, 1001)]), Some(1001));
        assert_eq!(picked(&[task(3, 1001), task(2, 1200)]), Some(1001));
        assert_eq!(picked(&[task(2, 999), task(3, 1001)]), None, "two of the same moment");
        assert_eq!(picked(&[task(2, 1030), task(3, 1001)]), None, "whose clocks differ?");
        assert_eq!(picked(&[task(2, 800), task(3, 1030)]), None, "none of that moment");
        assert_eq!(picked(&[]), None);
    }
}
