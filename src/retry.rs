//! Trying again what something passing stood in the way of.

use crate::report::Result;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// XE_RETRY_PAUSE unless set otherwise, in milliseconds.
pub const PAUSE_MS: usize = 500;

static SETTING_MS: AtomicUsize = AtomicUsize::new(PAUSE_MS);

/// Takes over the setting XE_RETRY_PAUSE.
pub fn set_pause(pause_ms: usize) {
    SETTING_MS.store(pause_ms, Ordering::Relaxed);
}

/// How often, and after which pauses: each is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub tries: u32,
    /// How many times XE_RETRY_PAUSE the first pause is.
    pub first_pauses: u32,
}

impl Retry {
    /// Runs `step` until it succeeds, fails for good, or the tries are used up.
    pub fn run<T>(
        &self,
        mut step: impl FnMut() -> Result<T>,
        passes: impl Fn(&anyhow::Error) -> bool,
    ) -> Result<T> {
        let setting_ms = u64::try_from(SETTING_MS.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        let mut pause = Duration::from_millis(setting_ms).saturating_mul(self.first_pauses);
        for _ in 1..self.tries {
            match step() {
                Err(error) if passes(&error) => thread::sleep(pause),
                ended => return ended,
            }
            pause = pause.saturating_mul(2);
        }
        step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    const THREE: Retry = Retry { tries: 3, first_pauses: 0 };

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let mut count = 0;
        let result = THREE.run(
            || {
                count += 1;
                if count < 3 {
                    bail!("busy")
                }
                Ok(count)
            },
            |_| true,
        );
        assert_eq!(result.unwrap(), 3);
        let mut count = 0;
        let result: Result<()> = THREE.run(
            || {
                count += 1;
                bail!("no")
            },
            |_| false,
        );
        assert!(result.is_err() && count == 1);
    }
}
