//! `context FILES… HOST:PATH/disk.N VM_ID DS_ID`: the context disc is a file also here, made by OpenNebula's own
//! script; `deploy` brings it into the pool.

use super::Call;
use crate::process;
use crate::report::{self, Result};
use anyhow::{Context, ensure};
use std::process::Command;

pub fn run(call: &Call) -> Result<String> {
    let script =
        call.beside("common", "context").context("there is no tm/common/context of OpenNebula's here")?;
    let limit = call.conf.seconds("XE_TIMEOUT", 300)?;
    let said = process::output(Command::new(&script).args(call.words), limit)?;
    let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
    ensure!(said.status.success(), "{}: {complaint}", script.display());
    Ok(String::new())
}
