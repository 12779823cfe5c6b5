//! Trying again what something passing stood in the way of.

use crate::report::Result;
use std::thread;
use std::time::Duration;

/// How often, and after which pauses: each is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub tries: u32,
    pub first_pause: Duration,
}

impl Retry {
    /// Runs `step` until it succeeds, fails for good, or the tries are used up.
    pub fn run<T>(
        &self,
        mut step: impl FnMut() -> Result<T>,
        passes: impl Fn(&anyhow::Error) -> bool,
    ) -> Result<T> {
        let mut pause = self.first_pause;
        for _ in 1..self.tries {
            match step() {
                Err(error) if passes(&error) => thread::sleep(pause),
                ended => return ended,
            }
            pause *= 2;
        }
        step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    const THREE: Retry = Retry { tries: 3, first_pause: Duration::ZERO };

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
