//! Pauses between the tries to reach onemonitord while it is away.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct BackOff {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
    next_try: Option<Instant>,
}

impl BackOff {
    /// The first pause is `shortest`, each further one twice as long, up to `longest`.
    pub fn new(shortest: Duration, longest: Duration) -> BackOff {
        BackOff { shortest, longest, pause: shortest, next_try: None }
    }

    pub fn may_try(&self, now: Instant) -> bool {
        self.next_try.is_none_or(|at| now >= at)
    }

    /// Told in vain.
    pub fn failed(&mut self, now: Instant) {
        self.next_try = Some(now + self.pause);
        self.pause = (self.pause * 2).min(self.longest);
    }

    /// Told.
    pub fn arrived(&mut self) {
        *self = BackOff::new(self.shortest, self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At how many seconds it is tried, of those up to `end`.
    fn tries(back_off: &mut BackOff, start: Instant, end: u64) -> Vec<u64> {
        let mut tries = Vec::new();
        for second in (0..=end).step_by(5) {
            let now = start + Duration::from_secs(second);
            if back_off.may_try(now) {
                back_off.failed(now);
                tries.push(second);
            }
        }
        tries
    }

    #[test]
    fn pauses_grow_up_to_half_a_minute_and_begin_anew() {
        let start = Instant::now();
        let mut back_off = BackOff::new(Duration::from_secs(5), Duration::from_secs(30));
        assert_eq!(tries(&mut back_off, start, 150), [0, 5, 15, 35, 65, 95, 125]);
        back_off.arrived();
        assert_eq!(tries(&mut back_off, start, 20), [0, 5, 15]);
    }
}
