//! The relay: listens where the VM's mark says, lets viewers in, and ends with the VM or when told to.

use super::start::LISTENS;
use super::viewers::Viewers;
use super::{Console, files, pipe, rfb};
use crate::pid_file::Lock;
use crate::report::{self, Result};
use crate::xapi::{Connection, Refused, Xapi};
use crate::xe::{PowerState, Xe, console, vm};
use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe as signal_pipe;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often to look whether to go on.
const WATCH: Timespec = Timespec { tv_sec: 15, tv_nsec: 0 };
/// How long a viewer may take to say who it is.
const GREETING: Duration = Duration::from_secs(20);
/// Who gave a wrong password waits, so that trying them out takes years.
const WRONG_PASSWORD: Duration = Duration::from_secs(2);
/// A viewer that says nothing for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// XAPI is asked at most so often what became of the VM.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A thread serves one viewer and calls nothing deep.
const STACK: usize = 256 << 10;

/// What a relay needs.
pub struct Serving {
    pub console: Console,
    pub xapi: Xapi,
    pub xe: Xe,
}

struct Relay {
    serving: Serving,
    viewers: Viewers,
    last_asked: Mutex<Option<Instant>>,
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
    let mut lock = files::take_over(&serving.console.vm)?;
    files::write(&mut lock, &serving.console)?;
    let listener = match listen(&serving.console) {
        Ok(listener) => listener,
        Err(why) => {
            lock.end();
            return Err(why);
        }
    };
    report::say(LISTENS);
    leave_terminal()?;
    let relay = Relay { serving, viewers: Viewers::default(), last_asked: Mutex::new(None), wake };
    let watched = watch(&Arc::new(relay), &listener, &wakes, &lock);
    // Who sees the file gone finds the port free.
    drop(listener);
    lock.end();
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

fn watch(relay: &Arc<Relay>, listener: &TcpListener, wakes: &UnixStream, lock: &Lock) -> Result<()> {
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

    /// One viewer, from its first byte to its last.
    fn serve(&self, number: u64, mut viewer: TcpStream) -> Result<pipe::End> {
        viewer.set_nonblocking(false)?;
        viewer.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&viewer, true)?;
        sockopt::set_tcp_keepidle(&viewer, KEEP_ALIVE)?;
        viewer.set_read_timeout(Some(GREETING))?;
        viewer.set_write_timeout(Some(GREETING))?;
        let mut console = match &self.serving.console.password {
            None => self.open_console(&mut viewer)?,
            Some(password) => self.open_locked(&mut viewer, password)?,
        };
        self.viewers.let_in(number);
        pipe::run(&mut viewer, &mut console)
    }

    /// Without a password viewer and console talk to each other from the first byte.
    fn open_console(&self, viewer: &mut TcpStream) -> Result<Connection> {
        self.connect(false).inspect_err(|why| {
            _ = rfb::refuse(viewer, &format!("{why:#}"));
        })
    }

    /// The relay speaks RFB to both until the password was given.
    fn open_locked(&self, viewer: &mut TcpStream, password: &str) -> Result<Connection> {
        let (version, is_right) = rfb::ask_password(viewer, password)?;
        if !is_right {
            thread::sleep(WRONG_PASSWORD);
            rfb::say(viewer, version, Some("wrong password"))?;
            bail!("wrong password");
        }
        let entered = self.connect(true).and_then(|mut console| {
            rfb::enter(&mut console)?;
            Ok(console)
        });
        let refusal = entered.as_ref().err().map(|why| format!("{why:#}"));
        rfb::say(viewer, version, refusal.as_deref())?;
        entered
    }

    /// Connects to XAPI's console of the VM. XAPI refuses when the VM has none that speaks RFB, does not run, or
    /// runs elsewhere (console.ml `default_console_of_vm`, `check_vm_is_running_here`).
    fn connect(&self, has_password: bool) -> Result<Connection> {
        let Serving { console, xapi, xe } = &self.serving;
        let refused = match xapi.console(&console.vm.to_string()) {
            Err(why) if why.downcast_ref::<Refused>().is_some_and(|refused| refused.code >= 404) => why,
            other => return other,
        };
        if self.is_gone() {
            self.end();
            bail!("VM {} does not run", console.vm);
        }
        let Some(text) = console::text_console(xe, &console.vm)? else { return Err(refused) };
        if has_password {
            bail!("VM {} has a text console only, which cannot ask for the password", console.vm);
        }
        xapi.console(&text.to_string())
    }

    /// Ends the relay if the VM has no domain any more; a guest that reboots keeps its own.
    fn ask_whether_to_go_on(&self) {
        let now = Instant::now();
        let mut last = self.last_asked.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < ASK_AGAIN) {
            return;
        }
        *last = Some(now);
        drop(last);
        if self.is_gone() {
            self.end();
        }
    }

    /// Whether XAPI says so; when it says nothing, the VM may be running.
    fn is_gone(&self) -> bool {
        let found = vm::Vm::find(&self.serving.xe, &self.serving.console.vm);
        let has_domain = |vm: &vm::Vm| matches!(vm.power_state, PowerState::Running | PowerState::Paused);
        found.is_ok_and(|vm| !vm.as_ref().is_some_and(has_domain))
    }

    fn end(&self) {
        _ = (&self.wake).write_all(&[0]);
    }
}
