//! A VM's console as OpenNebula's GUIs reach it: a plain RFB listener on the port that OpenNebula chose, relayed
//! to XAPI's console of the VM. One small program a VM, which only the VM's own viewers share.
//!
//! What a relay is for stands in the VM's `other-config`, so that the monitoring client of whatever host the VM
//! runs on can start it: after a migration, and when a relay has died.

mod files;
mod graphics;
mod keep;
mod mark;
mod pipe;
mod relay;
mod rfb;
mod seal;
mod serve;
mod start;
mod viewers;
mod vnc_auth;

pub use files::{Relay, end, of_vm, others};
pub use graphics::{Graphics, wanted};
pub use keep::{Keeper, Running, keep_one};
pub use mark::{MARK, Mark};
pub use relay::{Serving, run};
pub use seal::Key;
pub use start::{RELAY, start};

use crate::report::Result;
use crate::xe::Uuid;
use anyhow::{Context, ensure};

/// What a relay is for.
#[derive(Clone)]
pub struct Console {
    /// OpenNebula's number of the VM.
    pub vm_id: u32,
    pub vm: Uuid,
    /// The host the VM runs on, as OpenNebula names it.
    pub host: String,
    pub mark: Mark,
    /// What viewers must know; its first eight bytes count, as everywhere with VNC.
    pub password: Option<String>,
}

impl Console {
    /// For the relay's standard input: a password has no business on a command line.
    fn to_text(&self) -> String {
        let password = self.password.as_deref().unwrap_or_default();
        format!("{}\n{}\n{}\n{}\n{password}\n", self.vm_id, self.vm, self.host, self.mark)
    }

    /// Reads what `to_text` wrote.
    pub fn read(text: &str) -> Result<Console> {
        let mut lines = text.lines();
        let mut line = || lines.next().context("what the relay is for ends early");
        let console = Console {
            vm_id: line()?.parse()?,
            vm: line()?.parse()?,
            host: line()?.to_owned(),
            mark: line()?.parse()?,
            password: Some(line()?.to_owned()).filter(|password| !password.is_empty()),
        };
        ensure!(console.mark.has_password() == console.password.is_some(), "a console without its password");
        Ok(console)
    }
}
