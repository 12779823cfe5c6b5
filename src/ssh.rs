//! Commands on another machine, as OpenNebula's own scripts run them: oneadmin's ssh, without a terminal. A program
//! logs in to each host once.

mod connection;

pub use connection::{close, reach};

use crate::report::{Result, one_line};
use anyhow::ensure;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const AGENT: &str = "SSH_AUTH_SOCK";
/// The socket of OpenNebula's own ssh agent (`opennebula-ssh-agent.service`, since 5.12). oned's service names it to
/// what oned starts; oneadmin's shell does not.
const AGENT_SOCKET: &str = "/var/run/one/ssh-agent.sock";

/// `line`, a shell's command line, run on `host`.
pub fn command(host: &str, line: &str) -> Command {
    let mut command = program();
    command.args(["-o", "BatchMode=yes"]);
    if let Some(socket) = connection::socket(host) {
        // ssh logs in for itself if the connection has ended.
        command.args(["-o", "ControlMaster=no", "-o"]).arg(format!("ControlPath={}", socket.display()));
    }
    command.args([host, line]);
    command
}

/// `ssh` with the agent that oned's drivers have, also when called by hand.
fn program() -> Command {
    let mut ssh = Command::new("ssh");
    if let Some(socket) = agent(env::var_os(AGENT).is_some(), Path::new(AGENT_SOCKET)) {
        ssh.env(AGENT, socket);
    }
    ssh
}

/// The socket to use where the environment names none.
fn agent(is_named: bool, socket: &Path) -> Option<PathBuf> {
    (!is_named && socket.exists()).then(|| socket.to_owned())
}

/// Why ssh failed. That is its last line: banners and what it warns of come before.
pub fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("Warning: "));
    one_line(last.unwrap_or("ssh failed without a message").trim_end_matches('.'))
}

/// Whether `host` is the machine this program runs on.
pub fn is_here(host: &str) -> bool {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = |name: &str| name.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    host == "localhost" || (!own.trim().is_empty() && (host == own.trim() || label(host) == label(&own)))
}

/// A host's name must not pass for an option of ssh.
pub fn check_host(host: &str) -> Result<()> {
    ensure!(!host.is_empty() && !host.starts_with('-'), "{host:?} is not a host's name");
    Ok(())
}

/// One word for a shell.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{agent, complaint, quoted};
    use std::path::Path;

    #[test]
    fn what_ssh_warns_of_is_not_why_it_failed() {
        let stderr = b"** Authorized use only **\n\nWarning: Permanently added 'xcp-b' (ED25519) to the list of known \
            hosts.\r\nroot@xcp-b: Permission denied (publickey).\r\n";
        assert_eq!(complaint(stderr), "root@xcp-b: Permission denied (publickey)");
        assert_eq!(complaint(b"Warning: nothing else\n"), "ssh failed without a message");
    }

    #[test]
    fn opennebulas_agent_is_used_where_none_is_named_and_it_runs() {
        let here = Path::new("/");
        assert_eq!(agent(false, here).as_deref(), Some(here));
        assert_eq!(agent(true, here), None);
        assert_eq!(agent(false, Path::new("/nowhere/ssh-agent.sock")), None);
    }

    #[test]
    fn a_quote_in_a_word_stays_in_it() {
        assert_eq!(quoted("a'b c"), r"'a'\''b c'");
    }
}
