//! `one-xcp`: one program behind every script that OpenNebula calls for its XCP hosts.

use clap::Parser;
use one_xcp::{cli, report, sim};
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
        Some("xe") => return sim::main(args.into_iter().skip(2)),
        Some("sim") => return sim::control::main(args.into_iter().skip(2)),
        _ => {}
    }
    match cli::Cli::try_parse_from(cli::expand_link(args)) {
        Ok(cli) => cli.run(),
        Err(usage) => report::usage(&usage),
    }
}
