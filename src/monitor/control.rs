//! `im/xcp.d/monitord-client_control.sh`: starts the client of a host, or stops it.

use super::client::{self, CONFIGURATION};
use super::clock::Clock;
use super::files::Files;
use super::first_round;
use super::host::Host;
use super::log::Log;
use super::polled;
use super::sender::Sender;
use crate::action::Caller;
use crate::file_lock::FileLock;
use crate::one::{MonitorConfiguration, Release};
use crate::probe::unix_time;
use crate::qemu_img;
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The name under which OpenNebula looks for it.
pub const SCRIPT: &str = "monitord-client_control.sh";

/// Start the monitoring client of a host (IM_MAD HOST_ID HOST), or stop it (stop IM_MAD HOST_ID, stop IM_MAD).
#[derive(clap::Args, Debug)]
pub struct Args {
    /// As OpenNebula gives them
    #[arg(required = true)]
    words: Vec<String>,
}

/// How long a client may take to come up.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Closes what we were given beyond standard input, output and error, so that nobody waits for the client to
/// end: `exec` keeps all of it open, and only a shell can close what it did not open.
const CLOSE_ALL: &str = r#"for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done 2>/dev/null; exec "$@""#;

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["stop"] | ["stop", _] => stop_all(caller),
        ["stop", _, host_id, ..] => stop(host_id.parse().context("HOST_ID is not a number")?),
        [im_mad, rest @ ..] => {
            if let (Ok(conf), Ok(program)) = (caller.conf(), env::current_exe()) {
                qemu_img::offer(&conf, &program);
            }
            let release = Release::beside(&caller.called_as);
            // Up to 5.10 standard input is not ours to read: it may hold the shell's own commands.
            let text = if release.as_ref().is_some_and(Release::polls) {
                None
            } else {
                MonitorConfiguration::text_from_stdin()?
            };
            match text {
                Some(text) => start(caller, im_mad, rest.get(1).copied().unwrap_or_default(), text),
                None if release.is_none_or(|release| release.polls()) => polled::run(caller, im_mad, rest),
                None => bail!("there is no monitoring configuration on standard input"),
            }
        }
    }
}

/// Prints the first round, and leaves a client behind that goes on.
fn start(caller: &Caller, im_mad: &str, name: &str, text: String) -> Result<String> {
    let configuration = MonitorConfiguration::parse(&text)?;
    let ssh_client = env::var("SSH_CLIENT").ok();
    let files = Files::of_host(configuration.host_id)?;
    Sender::new(&configuration, im_mad, ssh_client.as_deref(), Clock::new(files.clone()))?;
    let lock = files.take_over()?;
    let token = format!("{} starting {}", std::process::id(), unix_time());
    lock.write(&token)?;
    let host = Host::new(caller, im_mad, name, text, &configuration)?;
    let round = first_round::run(&host, &files, &Log::new(files.clone()))?;
    files.write(CONFIGURATION, &host.configuration)?;
    leave_behind(&host, &files, lock, &token)?;
    Ok(round)
}

/// Starts the client as a program of its own, and waits until it has taken over.
fn leave_behind(host: &Host, files: &Files, lock: FileLock, token: &str) -> Result<()> {
    let program = env::current_exe().context("cannot tell where this program is")?;
    let called_as = std::path::absolute(&host.called_as)?;
    let mut command = Command::new("bash");
    command.args(["-c", CLOSE_ALL, "bash"]).arg(program).arg("--called-as").arg(called_as);
    command.args([client::NAME, &host.im_mad, &host.id.to_string(), &host.name, token]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.current_dir("/").env_remove("BASH_ENV");
    // A heap for each thread would keep what each of them once needed, for months.
    command.env("MALLOC_ARENA_MAX", "1");
    let mut child = command.spawn().context("cannot start the monitoring client")?;
    drop(lock);
    let end = Instant::now() + START_LIMIT;
    while files.client()?.is_none_or(|(pid, _)| pid != child.id()) {
        let ended = child.try_wait()?;
        ensure!(ended.is_none(), "the monitoring client ended at once; see {}", files.path("log").display());
        ensure!(Instant::now() < end, "the monitoring client does not come up");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn stop(host_id: u32) -> Result<String> {
    let files = Files::of_host(host_id)?;
    if files.client()?.is_some() {
        files.take_over()?.write("")?;
    }
    Ok(String::new())
}

/// OpenNebula need not say which host: then it is each client that this very script started.
fn stop_all(caller: &Caller) -> Result<String> {
    let script = std::path::absolute(&caller.called_as).unwrap_or_default();
    for host_id in Files::host_ids("pid") {
        if let Ok(Some((_, by))) = Files::of_host(host_id).and_then(|files| files.client())
            && by == script.to_string_lossy()
        {
            stop(host_id)?;
        }
    }
    Ok(String::new())
}
