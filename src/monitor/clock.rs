//! The time that messages bear. onemonitord passes over what is older than the last it had of its kind from the host
//! (HostMonitorManager.cc:618): a clock that was set back must not silence the host until it has caught up.

use super::files::Files;
use crate::probe::unix_time;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The file that has the newest time told, for the host's next client. It is there only while that is needed.
const FILE: &str = "time";
/// Threads tell the time side by side, and a clock that is set is often a little off.
const SLACK_SECONDS: u64 = 5;

#[derive(Debug)]
pub struct Clock {
    files: Files,
    newest: AtomicU64,
    is_kept: AtomicBool,
}

impl Clock {
    pub fn new(files: Files) -> Clock {
        let kept: u64 = files.read(FILE).ok().flatten().and_then(|text| text.parse().ok()).unwrap_or(0);
        let is_kept = kept > 0;
        Clock { files, newest: AtomicU64::new(kept), is_kept: AtomicBool::new(is_kept) }
    }

    /// Seconds since 1970; never less than before.
    pub fn now(&self) -> u64 {
        self.at(unix_time())
    }

    fn at(&self, now: u64) -> u64 {
        let newest = self.newest.fetch_max(now, Ordering::Relaxed).max(now);
        let is_behind = newest > now.saturating_add(SLACK_SECONDS);
        if is_behind != self.is_kept.swap(is_behind, Ordering::Relaxed) {
            // Without the file only the next client is passed over.
            if is_behind {
                _ = self.files.write(FILE, &newest.to_string());
            } else {
                self.files.remove(FILE);
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up_also_for_the_next_client() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path(), 7);
        let clock = Clock::new(files.clone());
        assert_eq!([1000, 1030, 1029].map(|now| clock.at(now)), [1000, 1030, 1030]);
        assert!(!files.path(FILE).exists());
        assert_eq!([9000, 1060].map(|now| clock.at(now)), [9000, 9000]);
        let clock = Clock::new(files.clone());
        assert_eq!([1090, 8999, 9000, 9001].map(|now| clock.at(now)), [9000, 9000, 9000, 9001]);
        assert!(!files.path(FILE).exists());
        assert_eq!(Clock::new(files).at(5), 5);
    }
}
