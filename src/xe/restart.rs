//! XAPI goes away under an action, as while its toolstack restarts: 10 to 60 s. What is begun can neither be ended nor
//! taken back without it, so it is waited for. An XAPI that has never answered is not.

use super::{XeError, xe_error};
use crate::report;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_secs(1);

/// How long a restart may take, and whether one is waited for.
#[derive(Debug)]
pub struct Restart {
    limit: Duration,
    has_answered: AtomicBool,
    is_said: AtomicBool,
}

impl Restart {
    /// Waits for XAPI for so long; with zero not at all.
    pub fn within(limit: Duration) -> Restart {
        Restart { limit, has_answered: AtomicBool::new(false), is_said: AtomicBool::new(false) }
    }

    /// The same for another XAPI.
    #[must_use]
    pub fn of_other(&self) -> Restart {
        Restart::within(self.limit)
    }

    /// XAPI has answered, if only with an error of its own.
    pub fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Whether a call that failed like this is to be asked again.
    pub fn is_waited_for(&self, error: &anyhow::Error) -> bool {
        let is_away = xe_error(error).is_some_and(XeError::is_xapi_away);
        is_away && self.has_answered.load(Ordering::Relaxed) && !self.limit.is_zero()
    }

    /// Asks until XAPI is back.
    pub fn wait<T>(&self, ask: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        if !self.is_said.swap(true, Ordering::Relaxed) {
            let seconds = self.limit.as_secs();
            report::info(format!(
                "XAPI does not answer any more: waiting up to {seconds} s for it to come back"
            ));
        }
        let end = Instant::now() + self.limit;
        loop {
            thread::sleep(LOOK);
            match ask() {
                Err(error) if self.is_waited_for(&error) && Instant::now() < end => {}
                ended => return ended,
            }
        }
    }
}
