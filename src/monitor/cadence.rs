//! Pauses between rounds, which end early when the client does.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the threads of a client wait on.
#[derive(Debug)]
pub struct Cadence {
    asked: Mutex<Asked>,
    changed: Condvar,
    speed: u32,
    in_step: bool,
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
        Cadence { asked: Mutex::default(), changed: Condvar::new(), speed: speed.max(1), in_step: false }
    }

    /// Whether rounds begin when those of other clients do, by the clock: then one answer can serve all.
    pub fn in_step(self, in_step: bool) -> Cadence {
        Cadence { in_step, ..self }
    }

    /// A time limit, shorter by the same factor.
    pub fn scaled(&self, limit: Duration) -> Duration {
        limit / self.speed
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
        let period = self.scaled(period.max(SHORTEST));
        let pause = if self.in_step { until_next(period, now()) } else { period };
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

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time from `now` to the next whole multiple of the period.
fn until_next(period: Duration, now: Duration) -> Duration {
    let into_it = now.as_millis() % period.as_millis().max(1);
    period.saturating_sub(Duration::from_millis(u64::try_from(into_it).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_in_step_begin_at_multiples_of_the_period() {
        let (period, of) = (Duration::from_secs(5), Duration::from_millis);
        for (now, pause) in [(10_000, 5000), (10_001, 4999), (14_999, 1), (15_000, 5000)] {
            assert_eq!(until_next(period, of(now)), of(pause), "{now}");
        }
    }

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
