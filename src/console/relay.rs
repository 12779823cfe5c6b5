//! The relay: listens where the VM's mark says, lets viewers in, and ends with the VM or when told to.

use super::start::LISTENS;
use super::viewers::Viewers;
use super::{Console, files, pipe};
use crate::file_lock::FileLock;
use crate::report::{self, Result};
use crate::xapi::Xapi;
use crate::xe::Xe;
use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe as signal_pipe;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// How often to look whether to go on.
const WATCH: Timespec = Timespec { tv_sec: 15, tv_nsec: 0 };
/// A thread serves one viewer and calls nothing deep.
const STACK: usize = 256 << 10;

/// What a relay needs.
pub struct Serving {
    pub console: Console,
    pub xapi: Xapi,
    pub xe: Xe,
}

/// A relay at work.
pub struct Relay {
    pub(super) serving: Serving,
    pub(super) viewers: Viewers,
    /// When XAPI was asked what became of the VM.
    pub(super) last_asked: Mutex<Option<Instant>>,
    /// Written to when there is nothing left to relay.
    wake: UnixStream,
}

/// Serves until told to end, another relay takes over, or the VM is no longer on this host.
pub fn run(serving: Serving) -> Result<()> {
    rustix::process::setsid().context("cannot begin a session")?;
    let (wakes, wake) = UnixStream::pair().context("cannot watch for signals")?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_pipe::register(signal, wake.try_clone()?)?;
    }
    let lock = files::take_over(&serving.console.vm)?;
    files::write(&lock, &serving.console)?;
    let listener = match listen(&serving.console) {
        Ok(listener) => listener,
        Err(why) => {
            lock.remove();
            return Err(why);
        }
    };
    report::say(LISTENS);
    leave_terminal()?;
    let relay = Relay { serving, viewers: Viewers::default(), last_asked: Mutex::new(None), wake };
    let watched = watch(&Arc::new(relay), &listener, &wakes, &lock);
    // Who sees the file gone finds the port free.
    drop(listener);
    lock.remove();
    watched
}

fn listen(console: &Console) -> Result<TcpListener> {
    let listen = console.mark.listen;
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Who started us waits for the end of what we print.
fn leave_terminal() -> Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null").context("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

fn watch(relay: &Arc<Relay>, listener: &TcpListener, wakes: &UnixStream, lock: &FileLock) -> Result<()> {
    let mut number = 0;
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(wakes, PollFlags::IN)];
        match poll(&mut fds, Some(&WATCH)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
        let [_, woken] = fds;
        if !woken.revents().is_empty() || !lock.is_current() {
            return Ok(());
        }
        lock.refresh();
        while let Ok((stream, _)) = listener.accept() {
            number += 1;
            relay.welcome(number, stream);
        }
    }
}

impl Relay {
    fn welcome(self: &Arc<Self>, number: u64, stream: TcpStream) {
        if !self.viewers.arrive(number, &stream) {
            return;
        }
        let relay = Arc::clone(self);
        let started = thread::Builder::new().stack_size(STACK).spawn(move || {
            let ended = relay.serve(number, stream);
            relay.viewers.leave(number);
            if matches!(ended, Ok(pipe::End::Console)) {
                relay.ask_whether_to_go_on();
            }
        });
        if started.is_err() {
            self.viewers.leave(number);
        }
    }

    pub(super) fn end(&self) {
        _ = (&self.wake).write_all(&[0]);
    }
}
