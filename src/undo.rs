//! Taking back what an action has done so far, when it fails or is told to stop.

use crate::lock::VmLock;
use crate::report;
use crate::xe::{Call, Xe, failed_with, xe_error};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Calls that take back what was done; run newest first unless the action gets to [`Undo::keep`].
#[must_use]
pub struct Undo<'a> {
    xe: &'a Xe,
    calls: Mutex<Vec<Call>>,
    /// What the next action on the VM is told when something cannot be taken back.
    note: OnceLock<(&'a VmLock, String)>,
}

impl<'a> Undo<'a> {
    pub fn new(xe: &'a Xe) -> Undo<'a> {
        Undo { xe, calls: Mutex::default(), note: OnceLock::new() }
    }

    /// Remembers the call that takes back what was just done.
    pub fn by(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// Where something cannot be taken back, the note stays with the VM's lock: the next action clears it away.
    pub fn or_note(&self, lock: &'a VmLock, note: &str) {
        _ = self.note.set((lock, note.to_owned()));
    }

    /// The action has succeeded: nothing is taken back.
    pub fn keep(self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // One that fails does not stop the others.
        let mut calls = std::mem::take(self.calls.get_mut().unwrap_or_else(PoisonError::into_inner));
        while let Some(call) = calls.pop() {
            if let Err(error) = self.xe.undo(&call)
                && !is_done_already(&call, &error)
            {
                report::warn(format!("cannot take back what was done: {error:#}"));
                if let Some((lock, note)) = self.note.get() {
                    lock.keep_note(note);
                }
            }
        }
    }
}

/// What the undoing of a step that never happened is refused with.
const NOTHING_TO_DO: [(&str, &str); 9] = [
    ("vm-shutdown", "VM_BAD_POWER_STATE"),
    ("vm-start", "VM_BAD_POWER_STATE"),
    ("vm-resume", "VM_BAD_POWER_STATE"),
    ("vbd-plug", "DEVICE_ALREADY_ATTACHED"),
    ("vbd-unplug", "DEVICE_ALREADY_DETACHED"),
    ("vbd-insert", "VBD_NOT_EMPTY"),
    ("vbd-eject", "VBD_IS_EMPTY"),
    ("vif-plug", "DEVICE_ALREADY_ATTACHED"),
    ("vif-unplug", "DEVICE_ALREADY_DETACHED"),
];

/// What is gone need not be removed, and what is halted need not be shut down.
fn is_done_already(call: &Call, error: &anyhow::Error) -> bool {
    xe_error(error).is_some_and(crate::xe::XeError::is_gone)
        || (call.verb().ends_with("-param-remove")
            && xe_error(error).is_some_and(|error| error.words.contains("is not in map")))
        || NOTHING_TO_DO.iter().any(|(verb, code)| call.verb() == *verb && failed_with(error, &[code]))
}
