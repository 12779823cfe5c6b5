//! What the relay does for one viewer.

use super::relay::{Relay, Serving};
use super::viewers::WRONG_COUNTS_FOR;
use super::{pipe, rfb};
use crate::report::Result;
use crate::xapi::{Connection, Refused};
use crate::xe::{PowerState, console, vm};
use anyhow::{Context, bail, ensure};
use rustix::net::sockopt;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

/// How long a viewer may take to say who it is.
const GREETING: Duration = Duration::from_secs(20);
/// How often to look whether it is an address's turn.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A viewer that says nothing for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// XAPI is asked at most so often what became of the VM.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Relay {
    /// One viewer, from its first byte to its last.
    pub(super) fn serve(&self, number: u64, mut viewer: TcpStream) -> Result<pipe::End> {
        viewer.set_nonblocking(false)?;
        viewer.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&viewer, true)?;
        sockopt::set_tcp_keepidle(&viewer, KEEP_ALIVE)?;
        viewer.set_read_timeout(Some(GREETING))?;
        viewer.set_write_timeout(Some(GREETING))?;
        let mut console = match &self.serving.console.password {
            None => self.open_console(&mut viewer)?,
            Some(password) => self.open_locked(number, &mut viewer, password)?,
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
    fn open_locked(&self, number: u64, viewer: &mut TcpStream, password: &str) -> Result<Connection> {
        self.wait_for_turn(number, viewer)?;
        let (version, is_right) = rfb::ask_password(viewer, password)?;
        if !is_right {
            self.viewers.was_wrong(number);
            stay(viewer, WRONG_COUNTS_FOR)?;
            viewer.set_read_timeout(Some(GREETING))?;
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

    /// Waits while the viewer's address has given too many wrong passwords.
    fn wait_for_turn(&self, number: u64, viewer: &TcpStream) -> Result<()> {
        let end = Instant::now() + GREETING;
        while !self.viewers.may_try(number) {
            ensure!(Instant::now() < end, "too many wrong passwords from this address");
            stay(viewer, LOOK_AGAIN)?;
        }
        viewer.set_read_timeout(Some(GREETING)).context("cannot wait for the viewer")
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
    pub(super) fn ask_whether_to_go_on(&self) {
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
}

/// Lets the viewer wait; an error once it is gone or was shown out. A viewer has nothing to say meanwhile.
fn stay(viewer: &TcpStream, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        viewer.set_read_timeout(Some(left))?;
        let mut peeked = [0];
        match viewer.peek(&mut peeked) {
            Ok(0) => bail!("the viewer is gone"),
            // It talks before it was asked.
            Ok(_) => thread::sleep(left.min(LOOK_AGAIN)),
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(()),
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(why).context("the viewer is gone"),
        }
    }
}
