//! What a real oned sent for an action, done to the VM that a deployment answered: on the host, and from the
//! front-end, where the pool is reached over the network and standard input is base64.

use super::{Host, Recorded, Said, said};
use base64::Engine;
use std::fs;
use std::process::Command;

/// An action with its recorded arguments and input; the VM's uuid takes the place of the recorded one.
pub struct RecordedAction {
    pub action: &'static str,
    pub recorded: Recorded,
}

impl RecordedAction {
    pub fn load(action: &'static str, name: &str) -> RecordedAction {
        RecordedAction { action, recorded: Recorded::load(name) }
    }

    /// With one piece of the document replaced by another; it must be there.
    pub fn with(self, old: &str, new: &str) -> RecordedAction {
        RecordedAction { recorded: self.recorded.with(old, new), ..self }
    }

    /// The command on the host, ready but for its input.
    pub fn command(&self, host: &Host, uuid: &str) -> (Command, Vec<u8>) {
        let mut command = host.command(host.path(&format!("remotes/vmm/xcp/{}", self.action)));
        command.arg(uuid).args(self.recorded.argv.iter().skip(1));
        (command, self.recorded.stdin.clone())
    }

    pub fn run(&self, host: &Host, uuid: &str) -> Said {
        let (mut command, stdin) = self.command(host, uuid);
        said(&mut command, &stdin)
    }

    /// From the front-end.
    pub fn run_from_front_end(&self, host: &Host, uuid: &str) -> Said {
        let (mut command, stdin) = self.command(host, uuid);
        let password_file = host.path("front-end-password");
        fs::write(&password_file, "root\nxen\n").unwrap();
        command.env("XE_SERVER", "HOST").env("XE_PASSWORD_FILE", password_file);
        said(&mut command, base64::engine::general_purpose::STANDARD.encode(stdin).as_bytes())
    }
}
