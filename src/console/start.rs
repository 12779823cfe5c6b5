//! Starting a relay: a program of its own, which outlives the action.

use super::{Console, files};
use crate::report::{Result, one_line};
use anyhow::{Context, bail};
use std::env;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The subcommand that is the relay.
pub const RELAY: &str = "console_relay";
/// What it says once it listens.
pub const LISTENS: &str = "listens";

/// Closes what we were given beyond standard input, output and error, so that nobody waits for the relay to end,
/// and leaves it to init, so that nobody has to wait for its end.
const LEAVE: &str =
    r#"for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done; "$@" <&0 &"#;

/// Has the VM's console listen as it should; a relay that does already stays.
pub fn start(called_as: &Path, console: &Console) -> Result<()> {
    let running = files::of_vm(&console.vm);
    let is_right = |relay: &files::Relay| relay.host == console.host && relay.mark == console.mark;
    if running.as_ref().is_some_and(is_right) {
        return Ok(());
    }
    // Its port is free before another wants it.
    files::end(&console.vm)?;
    let program = env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new("bash");
    command.args(["-c", LEAVE, "bash"]).arg(program).arg("--called-as").arg(std::path::absolute(called_as)?);
    // Not the uuid: who looks for an action at work on the VM would find it.
    command.args([RELAY, &console.vm_id.to_string()]);
    command.current_dir("/").env_remove("BASH_ENV").env("MALLOC_ARENA_MAX", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the console's relay")?;
    let fed = child.stdin.take().map(|mut stdin| stdin.write_all(console.to_text().as_bytes()));
    let (mut said, mut complaint) = (String::new(), String::new());
    // The relay closes both once it listens.
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut complaint)?;
    }
    child.wait()?;
    if said.trim() != LISTENS {
        let why = one_line(&complaint);
        let why = why.strip_prefix(RELAY).map_or(why.as_str(), |why| why.trim_start_matches(": "));
        bail!("{}", why.trim_end_matches('.'));
    }
    fed.unwrap_or(Ok(())).context("cannot tell the console's relay what it is for")
}
