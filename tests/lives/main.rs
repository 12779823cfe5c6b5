//! VMs that live: random operations of OpenNebula's users and of guests, and random faults. After each step every
//! disk's newest bytes are looked for.
//!
//! `LIVES_SEED=7 cargo test --test lives` lives one history again, the one that a failure names. `LIVES_SEEDS`,
//! `LIVES_STEPS` and `LIVES_SECONDS` let it go on for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(clippy::struct_field_names)]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod document;
mod faults;
mod guest;
mod history;
mod model;
mod oracle;
mod pool;
mod random;

use std::env;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[test]
fn no_life_loses_what_its_guest_wrote() {
    let steps = usize::try_from(setting("LIVES_STEPS", 40)).unwrap();
    if let Ok(seed) = env::var("LIVES_SEED") {
        lives(seed.parse().expect("LIVES_SEED"), steps, true);
        return;
    }
    // So many as pass within the time on two cores; a slower machine lives fewer.
    let seeds = setting("LIVES_SEEDS", 16);
    let end = Instant::now() + Duration::from_secs(setting("LIVES_SECONDS", 40));
    let (next, lived) = (AtomicU64::new(1), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        break;
                    }
                    lived.fetch_add(lives(seed, steps, false), Ordering::Relaxed);
                }
            });
        }
    });
    eprintln!("{} steps", lived.into_inner());
}

fn lives(seed: u64, steps: usize, shows: bool) -> usize {
    match history::live(seed, steps, shows) {
        Ok(steps) => steps,
        Err(failure) => {
            let first = failure.why.clone();
            let short = history::shortened(failure);
            panic!(
                "{first}\nagain: LIVES_SEED={seed} LIVES_STEPS={steps} cargo test --test lives\nshort: {}\n{}",
                short.why, short.told
            );
        }
    }
}
