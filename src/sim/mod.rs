//! A simulated XAPI pool behind the command line of `xe`.

pub mod control;
pub mod disk_bytes;

use std::ffi::OsString;
use std::process::ExitCode;

/// Answers one `xe` command line (`args` without the program's name).
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
