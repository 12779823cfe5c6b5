//! One file for each script that OpenNebula calls, under that script's name.

pub mod attach_disk;
pub mod attach_nic;
pub mod cancel;
pub mod checkpoint;
pub mod console;
pub mod console_relay;
mod context_disc;
mod default_sr;
pub mod deploy;
pub mod detach_disk;
pub mod detach_nic;
mod disk_format;
mod disks_of_vm;
pub mod exec;
pub mod exec_cancel;
mod hotplug;
pub mod identity;
mod in_progress;
pub mod leave;
pub mod migrate;
mod moved_disks;
pub mod nic_network;
pub mod poll;
pub mod prereconfigure;
pub mod reboot;
pub mod reconfigure;
pub mod reset;
pub mod resize;
pub mod resize_disk;
pub mod restore;
pub mod save;
pub mod shutdown;
pub mod snapshot_create;
pub mod snapshot_delete;
pub mod snapshot_revert;
mod suspending;
mod vm_folder;
pub mod write_back;

pub use hotplug::NO_PV_DRIVERS;

use crate::lock::VmLock;
use crate::one::conf::{INVENTORY, NAMED_HOST};
use crate::one::{Conf, Message};
use crate::parallel;
use crate::report::{self, Result};
use crate::retry::{self, Retry};
use crate::signal::Stop;
use crate::state_dir;
use crate::translate::mark;
use crate::xapi::{Server, Trust, Xapi};
use crate::xe::host::without_brackets;
use crate::xe::{Restart, ServerCheck, SrTurns, Uuid, Xe};
use anyhow::{Context, ensure};
use identity::Identity;
use in_progress::GuestRequest;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How an action was called: which scripts' folder it stands in, and whether to tell each `xe` call.
#[derive(Clone, Debug)]
pub struct Caller {
    pub called_as: PathBuf,
    pub verbose: bool,
}

/// XAPI's socket (xapi constants.ml).
const XAPI_SOCKET: &str = "/var/lib/xcp/xapi";

/// XAPI's own socket, where no password is needed: on the host itself.
pub fn xapi_socket(conf: &Conf) -> Option<PathBuf> {
    let default = if conf.optional("XE_SERVER").is_some() { "" } else { XAPI_SOCKET };
    Some(conf.given("XAPI_SOCKET").unwrap_or(default)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

impl Caller {
    /// The administrator's settings.
    pub fn conf(&self) -> Result<Conf> {
        Conf::load(&self.called_as)
    }

    /// Has locks and saved state where STATE_DIR says. What is wrong with the settings is for who needs them to tell.
    pub fn set_state_dir(&self) {
        if let Some(path) = self.conf().ok().as_ref().and_then(|conf| conf.optional("STATE_DIR")) {
            state_dir::set(path);
        }
    }

    /// The XAPI to talk to: this host's own, or over the network that of XE_SERVER.
    pub fn xe(&self, conf: &Conf, host: &str) -> Result<Xe> {
        self.xe_of(conf, conf.optional("XE_SERVER"), host)
    }

    /// From the front-end for sure: the host's XAPI over the network, also where XE_SERVER is not set.
    pub fn xe_of_host(&self, conf: &Conf, host: &str) -> Result<Xe> {
        self.xe_of(conf, conf.optional("XE_SERVER").or(Some(NAMED_HOST)), host)
    }

    fn xe_of(&self, conf: &Conf, server: Option<&str>, host: &str) -> Result<Xe> {
        let server = match server {
            Some(NAMED_HOST) => {
                ensure!(!host.is_empty(), "XE_SERVER is {NAMED_HOST}, but no host was named");
                ensure!(!host.starts_with('-'), "{host:?} is not a host's name");
                Some(without_brackets(host).to_owned())
            }
            other => other.map(|server| without_brackets(server).to_owned()),
        };
        let password_file = conf.optional("XE_PASSWORD_FILE").map(PathBuf::from);
        if let (Some(server), Some(file)) = (&server, &password_file) {
            ensure!(
                file.is_file(),
                "XE_PASSWORD_FILE: there is no file {}, to log in to {server} with",
                file.display()
            );
        }
        parallel::limit(conf.count("XE_AT_ONCE", parallel::AT_ONCE)?);
        retry::set_pause(conf.count("XE_RETRY_PAUSE", retry::PAUSE_MS)?);
        let inventory = server.is_none().then(|| conf.text("XENSOURCE_INVENTORY", INVENTORY).into());
        let server_check = server.as_ref().and_then(|_| {
            let port = conf.text("XAPI_PORT", "443");
            ServerCheck::of_settings(conf.text("XAPI_FINGERPRINT", ""), conf.optional("XAPI_CA_FILE"), port)
        });
        Ok(Xe {
            program: Path::new(conf.text("XE", "xe")).to_owned(),
            inventory,
            server: Mutex::new(server),
            server_check: server_check.map(Arc::new),
            password_file,
            bridge: None,
            limit: conf.seconds("XE_TIMEOUT", 300)?,
            transfer_limit: conf.seconds("XE_TRANSFER_TIMEOUT", 14_400)?,
            verbose: self.verbose,
            restart: Restart::within(conf.seconds("XAPI_RESTART_TIMEOUT", 60)?),
            retry: Retry { tries: 4, first_pauses: 1 },
            stop: Stop::on_signals().context("cannot begin")?,
            shared: None,
            sr_turns: SrTurns::of_this_user(),
        })
    }

    /// Where the host answers what `xe` cannot give: XAPI's socket on the host itself, and over TLS from elsewhere.
    /// None where the administrator has set XAPI_SOCKET to nothing.
    pub fn xapi(&self, conf: &Conf, host: &str) -> Result<Option<Xapi>> {
        let server = conf.optional("XE_SERVER").filter(|_| conf.given("XAPI_SOCKET").is_none());
        let Some(server) = server else { return Ok(xapi_socket(conf).map(Xapi::Socket)) };
        // Only the host that a VM runs on has its console, and measures it: it, not the coordinator, is asked.
        let name = without_brackets(if host.is_empty() && server != NAMED_HOST { server } else { host });
        let trust = Trust::read(conf.text("XAPI_FINGERPRINT", ""), conf.optional("XAPI_CA_FILE"))?;
        Ok(Some(Xapi::Server(Server {
            name: name.to_owned(),
            port: conf.text("XAPI_PORT", "443").parse().context("XAPI_PORT is no port")?,
            password_file: conf.optional("XE_PASSWORD_FILE").map(PathBuf::from),
            trust,
        })))
    }

    /// The VM that the action is about: its message's, by hand the one with this number.
    pub fn identity(&self, message: Option<&Message>, vm_id: Option<u32>) -> Identity {
        Identity::of(message, vm_id, &self.called_as)
    }

    /// Waits for the end of any other action on the VM, as long as moving its disks may take. By hand nobody
    /// may have said which VM of OpenNebula's it is: then there is nothing to wait for.
    ///
    /// What an action made that was killed before it could plug it in is cleared away.
    fn lock(xe: &Xe, vm_id: Option<u32>) -> Result<Option<VmLock>> {
        Caller::lock_ending(xe, vm_id, None)
    }

    /// The same for an action on `vm` that does not ask its guest: one that does, and waits for it, is told to stop.
    /// Another VM may have the same number, of another OpenNebula.
    fn lock_hard(xe: &Xe, vm_id: Option<u32>, vm: Option<&Uuid>) -> Result<Option<VmLock>> {
        Caller::lock_ending(xe, vm_id, vm)
    }

    fn lock_ending(xe: &Xe, vm_id: Option<u32>, hard: Option<&Uuid>) -> Result<Option<VmLock>> {
        let is_to_end =
            |note: &str| hard.zip(GuestRequest::read(note)).is_some_and(|(vm, request)| request.is_of(vm));
        let take = |vm_id| VmLock::take_ending(vm_id, xe.transfer_limit, &xe.stop, is_to_end);
        let lock = vm_id.map(take).transpose()?;
        if let (Some(vm_id), Some(lock)) = (vm_id, &lock) {
            Caller::settle(xe, vm_id, lock, hard.is_some())?;
        }
        Ok(lock)
    }

    /// Ends, waits for and clears away what the action before has left, if it was killed.
    fn settle(xe: &Xe, vm_id: u32, lock: &VmLock, is_hard: bool) -> Result<()> {
        if lock.follows_a_killed_action() {
            if let Err(error) = in_progress::wait_for_made(xe, lock.killed_action_began()) {
                report::warn(format!("XAPI may still be at work for an action that was killed: {error:#}"));
            }
            in_progress::wait_for_vm(xe, vm_id, is_hard)?;
        }
        for note in lock.notes_of_killed() {
            if let Some(request) = GuestRequest::read(note) {
                request.end(xe);
                continue;
            }
            let cleared = if mark::is_snapshot_attempt(vm_id, note) {
                leave::killed_write_back::clear(xe, note)
            } else {
                hotplug::clear_remains(xe, vm_id, note)
            };
            if let Err(error) = cleared {
                report::warn(format!("what has the mark {note} may be left in the pool: {error:#}"));
                lock.keep_note(note);
            }
        }
        Ok(())
    }
}
