//! Pauses between rounds, which end early when the client does.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the threads of a client wait on.
#[derive(Debug)]
pub struct Cadence {
    asked: Mutex<Asked>,
    changed: Condvar,
    speed: u32,
}

#[derive(Debug, Default)]
struct Asked {
    end: bool,
    system: bool,
}

/// Why a pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    Time,
    Asked,
    End,
}

/// A period of 0 in monitord.conf would keep the host busy with nothing else.
const SHORTEST: Duration = Duration::from_secs(1);

impl Cadence {
    /// Every pause is shorter by this factor; 1 outside of tests that let a day pass.
    pub fn at_speed(speed: u32) -> Cadence {
        Cadence { asked: Mutex::default(), changed: Condvar::new(), speed: speed.max(1) }
    }

    /// Rests for a period; false when the client ends.
    pub fn rest(&self, period: Duration) -> bool {
        self.wait(period, |asked| asked.end) != Wake::End
    }

    /// As [`Cadence::rest`], ended by [`Cadence::ask_system`] as well.
    pub fn rest_unless_asked(&self, period: Duration) -> Wake {
        self.wait(period, |asked| asked.end || asked.system)
    }

    fn wait(&self, period: Duration, over: impl Fn(&Asked) -> bool) -> Wake {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = period.max(SHORTEST) / self.speed;
        let waited = self.changed.wait_timeout_while(asked, pause, |asked| !over(asked));
        let (mut asked, time) = waited.unwrap_or_else(PoisonError::into_inner);
        if asked.end {
            Wake::End
        } else if time.timed_out() {
            Wake::Time
        } else {
            asked.system = false;
            Wake::Asked
        }
    }

    /// Has SYSTEM_HOST told at once.
    pub fn ask_system(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).system = true;
        self.changed.notify_all();
    }

    pub fn end(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).end = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_round_is_asked_for_once() {
        let cadence = Cadence::at_speed(1);
        cadence.ask_system();
        assert_eq!(cadence.rest_unless_asked(Duration::from_secs(60)), Wake::Asked);
        assert_eq!(cadence.rest_unless_asked(Duration::ZERO), Wake::Time);
        cadence.end();
        assert_eq!(cadence.rest_unless_asked(Duration::from_secs(60)), Wake::End);
        assert!(!cadence.rest(Duration::from_secs(60)));
    }
}
