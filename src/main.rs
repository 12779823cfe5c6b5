//! `one-xcp`: one program behind every script that OpenNebula calls for its XCP hosts.

use one_xcp::sim;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let called_as = args.first().and_then(|path| Path::new(path).file_name());
    if called_as.is_some_and(|name| name == "xe") {
        return sim::main(args.into_iter().skip(1));
    }
    match args.get(1).and_then(|name| name.to_str()) {
        Some("xe") => sim::main(args.into_iter().skip(2)),
        Some("sim") => sim::control::main(args.into_iter().skip(2)),
        _ => ExitCode::FAILURE,
    }
}
