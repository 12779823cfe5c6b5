//! The client's log. Nobody may read it for months: it stays small, and what goes on failing is said once.

use super::files::Files;
use crate::probe::unix_time;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// A log of this size becomes `.log.1`, in the place of the one before.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub struct Log {
    files: Files,
    /// What was said last of each matter.
    last: Mutex<HashMap<String, String>>,
}

impl Log {
    pub fn new(files: Files) -> Log {
        Log { files, last: Mutex::default() }
    }

    /// Writes a line, unless it is what was said last of this matter.
    pub fn say(&self, matter: &str, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(matter).is_some_and(|said| said == text) {
            return;
        }
        last.insert(matter.to_owned(), text.to_owned());
        self.write(&format!("{matter}: {text}"));
    }

    /// Says that a matter that went wrong is well again.
    pub fn well(&self, matter: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.remove(matter).is_some() {
            self.write(&format!("{matter}: well again"));
        }
    }

    /// A client that cannot write its log goes on: monitoring matters more.
    fn write(&self, text: &str) {
        let is_full = |file: &File| file.metadata().is_ok_and(|file| file.len() > MAX_BYTES);
        let mut file = self.files.append("log");
        if file.as_ref().is_ok_and(is_full) {
            self.files.rename("log", "log.1");
            file = self.files.append("log");
        }
        if let Ok(mut file) = file {
            _ = writeln!(file, "{} {}", unix_time(), crate::report::one_line(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_same_is_said_once_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path(), 7);
        let log = Log::new(files.clone());
        for _ in 0..3 {
            log.say("network", "away\nfor good");
        }
        log.well("network");
        log.well("network");
        let said = files.read("log").unwrap().unwrap();
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.contains(" network: away for good\n") && said.ends_with(" network: well again\n"));
        let filler = "x".repeat(1000);
        for number in 0..3000 {
            log.say("network", &format!("{number} {filler}"));
        }
        let size = |ending: &str| fs::metadata(files.path(ending)).unwrap().len();
        assert!(size("log") <= MAX_BYTES + 2000 && size("log.1") <= MAX_BYTES + 2000);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
