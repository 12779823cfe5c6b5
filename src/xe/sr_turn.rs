//! One at a time on an SR: programs of this machine that make, destroy, resize or snapshot VDIs of one SR wait for
//! each other before they ask XAPI.
//!
//! XAPI does one such operation of an SR at a time (xapi_sr_operations.ml `valid_operations`). Whoever comes second
//! sleeps 1 to 20 s there, whenever the first ends (helpers.ml `Repeat_with_uniform_backoff`). Only time depends on
//! this: where no lock can be had, XAPI is asked all the same.

use super::{Call, Uuid};
use crate::file_lock::FileLock;
use crate::signal::Stop;
use crate::state_dir::{self, StateDir};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(5);

/// Longer than any queue of ours should be: then XAPI may do the waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Which SRs a call changes.
#[derive(Debug, PartialEq, Eq)]
enum Changes {
    Nothing,
    One(Uuid),
    /// Which ones is not known without another call.
    Any,
}

/// The locks of SRs, and which VDI is on which.
#[derive(Debug)]
pub struct SrTurns {
    folder: PathBuf,
    sr_of: Mutex<HashMap<Uuid, Uuid>>,
}

impl SrTurns {
    /// In the directory of our own.
    pub fn of_this_user() -> SrTurns {
        SrTurns::in_folder(state_dir::path())
    }

    fn in_folder(folder: PathBuf) -> SrTurns {
        SrTurns { folder, sr_of: Mutex::default() }
    }

    /// Remembers the VDI's SR.
    pub fn learn(&self, vdi: &Uuid, sr: &Uuid) {
        self.known().insert(vdi.clone(), sr.clone());
    }

    /// Remembers the SR of the VDI that the call has made.
    pub fn learn_from(&self, call: &Call, answer: &[u8]) {
        let makes_one = ["vdi-create", "vdi-clone", "vdi-snapshot"].contains(&call.verb());
        if let (true, Changes::One(sr)) = (makes_one, self.changes(call))
            && let Some(vdi) = str::from_utf8(answer).ok().and_then(|answer| answer.trim().parse().ok())
        {
            self.learn(&vdi, &sr);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Uuid>> {
        self.sr_of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other program of ours changes the SRs that `call` changes. They are free again when what this
    /// gives is dropped.
    pub fn take(&self, call: &Call, stop: &Stop) -> Vec<FileLock> {
        let wanted = self.changes(call);
        if wanted == Changes::Nothing {
            return Vec::new();
        }
        let Ok(dir) = StateDir::at(&self.folder) else { return Vec::new() };
        let mut names = match wanted {
            Changes::One(sr) => vec![name_of(&sr)],
            _ => dir.names().into_iter().filter(|name| is_ours(name)).collect(),
        };
        // Whoever takes several takes them in one order: nobody waits in a circle.
        names.sort();
        let end = Instant::now() + LONGEST_WAIT;
        names.iter().map_while(|name| wait(&dir, name, end, stop)).collect()
    }

    fn changes(&self, call: &Call) -> Changes {
        match call.verb() {
            "vdi-create" => call.uuid("sr-uuid").map_or(Changes::Any, Changes::One),
            "vdi-destroy" | "vdi-resize" | "vdi-clone" | "vdi-snapshot" => {
                let sr = call.uuid("uuid").and_then(|vdi| self.known().get(&vdi).cloned());
                sr.map_or(Changes::Any, Changes::One)
            }
            // What also writes the guest's memory takes too long to keep others waiting.
            "vm-uninstall" | "vm-snapshot" | "snapshot-revert" | "snapshot-uninstall" => Changes::Any,
            _ => Changes::Nothing,
        }
    }
}

/// The lock; None where it cannot be had.
fn wait(dir: &StateDir, name: &str, end: Instant, stop: &Stop) -> Option<FileLock> {
    loop {
        if let Some(lock) = FileLock::try_take(dir, name).ok()? {
            lock.refresh();
            return Some(lock);
        }
        if Instant::now() >= end || stop.check().is_err() {
            return None;
        }
        thread::sleep(LOOK);
    }
}

fn name_of(sr: &Uuid) -> String {
    format!("sr-{sr}.lock")
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix("sr-")
        .and_then(|rest| rest.strip_suffix(".lock"))
        .is_some_and(|sr| sr.parse::<Uuid>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xe::{vdi, vm};

    fn uuid(last: u8) -> Uuid {
        format!("00000000-0000-4000-8000-00000000000{last}").parse().unwrap()
    }

    #[test]
    fn a_call_waits_for_the_srs_that_it_changes_and_no_others() {
        let turns = SrTurns::in_folder("/nonexistent".into());
        let (sr, vdi) = (uuid(1), uuid(2));
        assert_eq!(turns.changes(&vdi::create(&sr, "one-1-disk-0", 1 << 20, &[])), Changes::One(sr.clone()));
        assert_eq!(turns.changes(&vdi::destroy(&vdi)), Changes::Any);
        turns.learn(&vdi, &sr);
        for call in [vdi::destroy(&vdi), vdi::resize(&vdi, 1 << 20), vdi::snapshot(&vdi)] {
            assert_eq!(turns.changes(&call), Changes::One(sr.clone()));
        }
        turns.learn_from(&vdi::snapshot(&vdi), uuid(4).to_string().as_bytes());
        assert_eq!(turns.changes(&vdi::destroy(&uuid(4))), Changes::One(sr));
        assert_eq!(turns.changes(&vm::uninstall(&vdi)), Changes::Any);
        assert_eq!(turns.changes(&vm::suspend(&vdi)), Changes::Nothing);
    }

    #[test]
    fn one_has_its_turn_at_a_time_on_each_sr() {
        let folder = tempfile::tempdir().unwrap();
        let turns = SrTurns::in_folder(folder.path().join("state"));
        let stop = Stop::default();
        let create = |sr: u8| vdi::create(&uuid(sr), "one-1-disk-0", 1 << 20, &[]);
        let first = turns.take(&create(1), &stop);
        let other = turns.take(&create(2), &stop);
        assert_eq!((first.len(), other.len()), (1, 1));
        thread::scope(|scope| {
            let (turns, stop) = (&turns, &stop);
            let second = scope.spawn(move || turns.take(&create(1), stop).len());
            let of_both = scope.spawn(move || turns.take(&vm::uninstall(&uuid(3)), stop).len());
            thread::sleep(Duration::from_millis(50));
            assert!(!second.is_finished() && !of_both.is_finished());
            drop(first);
            assert!(!of_both.is_finished());
            drop(other);
            assert_eq!((second.join().unwrap(), of_both.join().unwrap()), (1, 2));
        });
    }
}
