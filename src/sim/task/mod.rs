//! XAPI's tasks. A call that has to wait, for its SR, its VM or a guest, is done by a process of its own, as XAPI
//! does it: it goes on when the client is killed, others see it in `task-list`, and `task-cancel` ends the wait.
//!
//! A task is a file beside the state, locked by the process that does the work: without the lock it is over.

mod hand_over;
pub mod operation;

pub use hand_over::{Handed, hand_over, is_needed};

use super::pool::Pool;
use super::refuse::{Outcome, Param, opaque, refused};
use super::row::{Class, Row};
use super::sequence::{nth_uuid, timestamp};
use super::store::Store;
use anyhow::{Context, Result};
use operation::Operation;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a wait looks whether it is over.
pub const LOOK: Duration = Duration::from_millis(20);

/// The task that this process works for.
static OWN: OnceLock<PathBuf> = OnceLock::new();

/// A task in progress; it is over when this is dropped.
#[derive(Debug)]
pub struct Running {
    path: PathBuf,
    /// Locked.
    file: File,
}

/// Begins the task of this process.
pub fn begin(store: &Store, operation: &Operation) -> Result<Running> {
    let folder = folder(store);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = now.as_nanos() ^ (u128::from(std::process::id()) << 40);
    let path = folder.join(nth_uuid(u64::try_from(number & u128::from(u64::MAX))?));
    // Under another name until it is locked and whole.
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().create_new(true).append(true).open(&draft)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(format!("{}\t{}", operation.task, since_2026(now)).as_bytes())?;
    fs::rename(&draft, &path)?;
    _ = OWN.set(path.clone());
    Ok(Running { path, file })
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = fs::remove_file(cancelled(&self.path));
        _ = fs::remove_file(&self.path);
    }
}

/// Fails once the task of this process has been cancelled (xapi `taskHelper.ml` `exn_if_cancelling`).
pub fn check() -> Outcome<()> {
    match OWN.get() {
        Some(path) if cancelled(path).exists() => {
            let uuid = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(refused("TASK_CANCELLED", vec![Param::text(opaque(&uuid))]))
        }
        _ => Ok(()),
    }
}

/// Sleeps, unless the task is cancelled.
pub fn sleep(time: Duration) -> Outcome<()> {
    let mut left = time;
    while !left.is_zero() {
        check()?;
        let slice = left.min(LOOK);
        thread::sleep(slice);
        left -= slice;
    }
    check()
}

/// Asks a task to end. One that is past its waits goes on (xapi `xapi_task.ml` `cancel`).
pub fn cancel(store: &Store, uuid: &str) -> Result<()> {
    fs::write(cancelled(&folder(store).join(uuid)), "").context("cannot cancel a task")
}

/// The tasks in progress but this process's own, as rows.
pub fn rows(store: &Store) -> Vec<Row> {
    let Ok(entries) = fs::read_dir(folder(store)) else { return Vec::new() };
    entries.filter_map(|entry| row(&entry.ok()?.path())).collect()
}

fn row(path: &Path) -> Option<Row> {
    if path.extension().is_some() || OWN.get().is_some_and(|own| own == path) {
        return None;
    }
    let file = File::open(path).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut parts = text.split('\t').map(str::to_owned);
    let mut row = Row::new(Class::Task, path.file_name()?.to_str()?.to_owned());
    row.set("name-label", parts.next()?);
    row.set("created", parts.next()?);
    row.set("sim-operation", parts.next().unwrap_or_default());
    row.set("sim-vm", parts.next().unwrap_or_default());
    row.set("status", "pending");
    row.set("progress", "0.");
    row.set("type", "<none/>");
    row.set("finished", "19700101T00:00:00Z");
    row.set("allowed_operations", "cancel");
    if cancelled(path).exists() {
        row.set("current_operations", "cancel");
    }
    Some(row)
}

/// What is being done to the VM, and by which task.
pub fn of_vm(pool: &Pool, vm: &str) -> Vec<(String, String)> {
    let tasks = pool.rows(Class::Task).iter().filter(|task| task.get("sim-vm") == vm);
    let named = tasks.filter(|task| !task.get("sim-operation").is_empty());
    named.map(|task| (task.uuid.to_string(), task.get("sim-operation").to_owned())).collect()
}

/// `current-operations` of a VM.
pub fn current_operations(pool: &Pool, row: &Row) -> Vec<String> {
    let kept = row.entries("current-operations").map(|(key, _)| key.to_owned());
    kept.chain(of_vm(pool, &row.uuid).into_iter().map(|(_, operation)| operation)).collect()
}

/// Refuses to plug devices while the VM is on its way down (xapi `xapi_vif_helpers.ml`, `xapi_vbd_helpers.ml`).
pub fn check_plugging(pool: &Pool, vm: &str) -> Outcome<()> {
    let down = ["clean_shutdown", "hard_shutdown", "suspend", "pause"];
    match of_vm(pool, vm).into_iter().find(|(_, operation)| down.contains(&operation.as_str())) {
        Some((_, operation)) => {
            let text = format!("Current operation on VM:{} is {operation}", opaque(vm));
            Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(text)]))
        }
        None => Ok(()),
    }
}

impl Running {
    /// Waits until XAPI lets the operation at its VM, and cancels what a hard one cancels (xapi `message_forwarding.ml`
    /// `cancel`). From then on it is among the VM's current operations.
    pub fn begin_on_vm(&self, store: &Store, operation: &Operation) -> Outcome<()> {
        let to_end = operation.to_cancel(&store.read()?);
        for task in &to_end {
            cancel(store, task)?;
        }
        loop {
            let begun = store.change(|pool| {
                let ends = of_vm(pool, &operation.vm).iter().any(|(task, _)| to_end.contains(task));
                if ends || operation.is_held_up(pool) {
                    return (Ok(false), false);
                }
                let text = format!("\t{}\t{}", operation.name, operation.vm);
                ((&self.file).write_all(text.as_bytes()).map(|()| true), false)
            })?;
            if begun.context("cannot write down the operation")? {
                return Ok(());
            }
            sleep(LOOK)?;
        }
    }
}

fn folder(store: &Store) -> PathBuf {
    store.beside(".tasks")
}

fn cancelled(path: &Path) -> PathBuf {
    path.with_extension("cancel")
}

/// As XAPI prints the machine's time: tasks are the one thing whose age drivers compare with their own clock.
fn since_2026(now: Duration) -> String {
    const START_OF_2026: u64 = 1_767_225_600;
    timestamp(now.as_secs().saturating_sub(START_OF_2026))
}
