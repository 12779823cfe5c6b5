//! The program that stays: each kind of message at its own period, until it is told to end, another client
//! takes over, or the drivers are removed.

mod rounds;

use super::cadence::Cadence;
use super::clock::Clock;
use super::files::Files;
use super::host::Host;
use super::kind::Kind;
use super::log::Log;
use super::sender::Sender;
use crate::action::Caller;
use crate::file_lock::FileLock;
use crate::one::MonitorConfiguration;
use crate::one::monitor_configuration::ProbesPeriod;
use crate::report::Result;
use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;
use std::env;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The subcommand that is this program.
pub const NAME: &str = "monitor_client";
/// The ending of the file with OpenNebula's configuration.
pub const CONFIGURATION: &str = "xml";

/// How often to look whether to go on.
const WATCH: Duration = Duration::from_secs(2);
/// While `onehost sync` copies the drivers they are not there.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// The program that the control script leaves behind.
#[derive(clap::Args, Debug)]
pub struct Args {
    im_mad: String,
    host_id: u32,
    host: String,
    /// What the control script wrote for this client to find
    token: String,
    /// So many times more often than the configuration says: lets a day pass in a test
    #[arg(long, hide = true, default_value_t = 1)]
    speed: u32,
}

/// What the threads share.
pub struct Client {
    pub host: Host,
    pub sender: Sender,
    pub log: Log,
    pub files: Files,
    pub periods: ProbesPeriod,
    pub cadence: Cadence,
    /// onemonitord took the last STATE_VM.
    pub reachable: AtomicBool,
    /// What the administrator's probes of STATE_VM said and has not arrived.
    pub others_states: Mutex<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    rustix::process::setsid().context("cannot begin a session")?;
    let files = Files::of_host(args.host_id)?;
    let done = prepare(caller, args, files.clone(), Log::new(files.clone()));
    if let Err(why) = &done {
        Log::new(files).say("client", &format!("{why:#}"));
    }
    let (client, lock) = done?;
    watch(&client, &lock)?;
    Ok(String::new())
}

fn prepare(caller: &Caller, args: &Args, files: Files, log: Log) -> Result<(Arc<Client>, FileLock)> {
    let lock = files.take_up(&args.token)?;
    let text = files.read(CONFIGURATION)?.context("there is no configuration")?;
    let configuration = MonitorConfiguration::parse(&text)?;
    let sender = Sender::new(
        &configuration,
        &args.im_mad,
        env::var("SSH_CLIENT").ok().as_deref(),
        Clock::new(files.clone()),
    )?;
    let host = Host::new(caller, &args.im_mad, &args.host, text, &configuration)?;
    lock.write(&format!("{} {}", std::process::id(), host.called_as.display()))?;
    let cadence = Cadence::at_speed(args.speed).in_step(host.xe.shared.is_some());
    let client = Client {
        host,
        sender,
        log,
        files,
        periods: configuration.probes_period,
        cadence,
        reachable: AtomicBool::new(true),
        others_states: Mutex::default(),
    };
    Ok((Arc::new(client), lock))
}

/// Starts a thread for each kind, so that one slow probe holds up no other, and waits for a reason to end.
fn watch(client: &Arc<Client>, lock: &FileLock) -> Result<()> {
    let (mut wakes, signal) = UnixStream::pair().context("cannot watch for signals")?;
    wakes.set_read_timeout(Some(client.cadence.scaled(WATCH)))?;
    let early = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGUSR1, Arc::clone(&early))?;
    for number in [SIGTERM, SIGINT, SIGHUP, SIGUSR1] {
        pipe::register(number, signal.try_clone()?)?;
    }
    let mut threads: Vec<JoinHandle<()>> =
        Kind::ALL.iter().map(|kind| rounds::start(client, *kind)).collect();
    threads.push(rounds::start_others_states(client));
    threads.extend(rounds::start_flows(client));
    let program = env::current_exe().context("cannot tell where this program is")?;
    let drivers = [program, client.host.called_as.clone()];
    let mut last_there = Instant::now();
    let reason = loop {
        // A signal or the time limit: there is something to look at.
        _ = wakes.read(&mut [0; 16]);
        if drivers.iter().all(|path: &PathBuf| path.exists()) {
            last_there = Instant::now();
        }
        if client.host.stop.check().is_err() {
            break "told to end";
        }
        lock.refresh();
        if !lock.is_current() {
            break "another client has taken over";
        } else if last_there.elapsed() > client.cadence.scaled(GONE_LIMIT) {
            break "the drivers are gone";
        } else if threads.iter().any(JoinHandle::is_finished) {
            break "one of its threads failed";
        }
        if early.swap(false, Ordering::Relaxed) {
            client.cadence.ask_system();
        }
    };
    client.log.say("client", reason);
    client.cadence.end();
    Ok(())
}
