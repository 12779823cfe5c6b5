//! How far a disk's bytes have come, for a person at a terminal. oned, whose log standard error is, gets nothing.

use crate::report;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How often it is said.
const PAUSE: Duration = Duration::from_millis(500);

/// Counts what goes through it.
pub struct Progress<W: Write> {
    to: W,
    bytes: u64,
    next: Option<Instant>,
}

impl<W: Write> Progress<W> {
    pub fn new(to: W) -> Progress<W> {
        Progress { to, bytes: 0, next: report::is_watched_by_a_person().then(Instant::now) }
    }
}

impl<W: Write> Write for Progress<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.to.write(data)?;
        self.bytes += count as u64;
        if let Some(next) = self.next
            && next <= Instant::now()
        {
            report::progress(&format!("{} MB sent", self.bytes / super::MB));
            self.next = Some(Instant::now() + PAUSE);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if self.next.is_some() {
            report::progress(&format!("{} MB sent\n", self.bytes.div_ceil(super::MB)));
        }
    }
}
