//! `one-xcp sim …`: makes, breaks and shows the simulated pool.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one `sim` command line (`args` begins with its name: `init`, `fail`, …).
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
