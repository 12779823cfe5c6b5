//! What a program says, while it runs.

use super::STOP_CHECK;
use crate::report::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who complains more than that, or as a program that is fed says more, is cut off, and ended by it.
const MAX_SAID_BYTES: u64 = 16 << 20;

/// What a program says until it ends. Somebody else, a daemon that it started, may have the pipe open for ever.
pub struct Said<'a, P> {
    pub pipe: P,
    /// Becomes true when the program has ended.
    pub ended: &'a AtomicBool,
}

impl<P: Read + AsFd> Read for Said<'_, P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            // Looked at before the pipe: what it said before its end is there by then.
            let ended = self.ended.load(Ordering::Relaxed);
            let wait = if ended { Duration::ZERO } else { STOP_CHECK };
            let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
            let mut pipe = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut pipe, Some(&wait)) {
                Ok(0) if ended => return Ok(0),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.pipe.read(into),
                Err(why) => return Err(why.into()),
            }
        }
    }
}

/// The beginning of it.
pub fn read_some(from: impl Read) -> Result<Vec<u8>> {
    read_all(from.take(MAX_SAID_BYTES))
}

/// All of it.
pub fn read_all(mut from: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    Ok(text)
}
