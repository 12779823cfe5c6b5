//! Commands on another machine, as OpenNebula's own scripts run them: oneadmin's ssh, without a terminal. A program
//! logs in to each host once.

mod connection;

pub use connection::{close, reach};

use crate::report::Result;
use anyhow::ensure;
use std::fs;
use std::process::Command;

/// `line`, a shell's command line, run on `host`.
pub fn command(host: &str, line: &str) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-o", "BatchMode=yes"]);
    if let Some(socket) = connection::socket(host) {
        // ssh logs in for itself if the connection has ended.
        command.args(["-o", "ControlMaster=no", "-o"]).arg(format!("ControlPath={}", socket.display()));
    }
    command.args([host, line]);
    command
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
    use super::quoted;

    #[test]
    fn a_quote_in_a_word_stays_in_it() {
        assert_eq!(quoted("a'b c"), r"'a'\''b c'");
    }
}
