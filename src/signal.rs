//! SIGTERM, SIGINT and SIGHUP: an action that is told to stop ends at its next step and takes back what it
//! has done.

use crate::report::Result;
use anyhow::{Context, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this program was told to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes over the signals that ask a program to end.
    pub fn on_signals() -> Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0)).context("cannot watch for signals")?;
        }
        Ok(stop)
    }

    /// An error once the program was told to stop.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("stopped by a signal");
        }
        Ok(())
    }

    /// For waits that look at it from time to time.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}
