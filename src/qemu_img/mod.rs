//! A stand-in for QEMU's `qemu-img`, for dom0, which has none.
//!
//! OpenNebula's scripts of file datastores run it on the host: for volatile and swap disks, for disks larger than their
//! image, for `disk-resize`, save-as and snapshots of disks (`src/tm_mad/{ssh,local,shared,qcow2}`, `scripts_common.sh`
//! `mkfs_command`). It takes what those of 5.4 to 7.4 use of `create`, `resize`, `info` and `convert`, for raw and
//! qcow2, and refuses everything else. If the host has another qemu-img, that one is run.

mod arguments;
mod convert;
mod create;
mod info;
mod link;
mod resize;
mod size;

use crate::links::PROGRAM;
use crate::report::{self, Result};
use anyhow::bail;
use arguments::Arguments;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub use link::{is_dom0, offer};

/// The name that scripts call it by.
pub const NAME: &str = "qemu-img";
/// Where programs are, whatever PATH says.
const FOLDERS: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Whether the host has one, and whose.
pub enum Found {
    None,
    /// This program under that name.
    Ours(PathBuf),
    Other(PathBuf),
}

/// As scripts call it, with the words behind its name: another one goes before.
pub fn main(words: &[OsString]) -> ExitCode {
    if let Found::Other(other) = find() {
        let why = Command::new(&other).args(words).exec();
        return report::failure(NAME, &anyhow::anyhow!("cannot run {}: {why}", other.display()), false);
    }
    own(words)
}

/// This one, whatever else there is.
pub fn own(words: &[OsString]) -> ExitCode {
    match run(words) {
        Ok(answer) => report::success(&answer),
        Err(error) => report::failure(NAME, &error, false),
    }
}

fn run(words: &[OsString]) -> Result<String> {
    let arguments = Arguments::parse(words)?;
    match arguments.verb.as_str() {
        "create" => create::run(&arguments),
        "resize" => resize::run(&arguments),
        "info" => info::run(&arguments),
        "convert" => convert::run(&arguments),
        other => bail!("one-xcp's has create, resize, info and convert, and no {other:?}: QEMU's own has"),
    }
}

/// What is called `qemu-img` here; another one before ours.
pub fn find() -> Found {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    let mut ours = Found::None;
    for file in folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(NAME)) {
        if !file.is_file() {
            continue;
        }
        if !is_ours(&file) {
            return Found::Other(file);
        }
        if matches!(ours, Found::None) {
            ours = Found::Ours(file);
        }
    }
    ours
}

/// A link that ends at this program, wherever that is.
fn is_ours(file: &Path) -> bool {
    let own = env::current_exe().and_then(fs::canonicalize).ok();
    fs::canonicalize(file).is_ok_and(|end| Some(&end) == own.as_ref() || end.ends_with(PROGRAM))
}
