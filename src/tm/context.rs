//! `context FILES… HOST:PATH/disk.N VM_ID DS_ID`: the context disc is a file also here, made by OpenNebula's own
//! script; `deploy` brings it into the pool.

use super::Call;
use crate::process;
use crate::report::{self, Result};
use anyhow::{Context, ensure};
use std::process::Command;

/// The transfer managers whose `context` makes the disc and copies it to the host. OpenNebula installs a copy of the
/// script into each driver's folder, `tm/ssh` in every release (install.sh `TM_SSH_FILES`).
const TRANSFER_MANAGERS: [&str; 3] = ["ssh", "shared", "local"];

pub fn run(call: &Call) -> Result<String> {
    let script = TRANSFER_MANAGERS.iter().find_map(|name| call.beside(name, "context"));
    let script = script.context(
        "OpenNebula's script for context discs, remotes/tm/ssh/context, is not installed on the front-end",
    )?;
    let limit = call.conf.seconds("XE_TIMEOUT", 300)?;
    let output = process::output(Command::new(&script).args(call.words), limit)?;
    let stderr = report::one_line(&String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}: {stderr}", script.display());
    Ok(String::new())
}
