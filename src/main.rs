//! `one-xcp`: one program behind every script that OpenNebula calls for its XCP hosts.

use one_xcp::{cli, qemu_img, ssh};
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    if let Some(answer) = called_as_qemu_img(&args) {
        return answer;
    }
    #[cfg(feature = "simulator")]
    if let Some(answer) = simulated(&args) {
        return answer;
    }
    let code = cli::run(args);
    ssh::close();
    code
}

/// Called as `qemu-img`, or as `one-xcp qemu-img …` by hand, the program stands in for QEMU's.
fn called_as_qemu_img(args: &[OsString]) -> Option<ExitCode> {
    let called_as = args.first().and_then(|path| Path::new(path).file_name());
    if called_as.is_some_and(|name| name == qemu_img::NAME) {
        return Some(qemu_img::main(args.get(1..).unwrap_or_default()));
    }
    (args.get(1)? == qemu_img::NAME).then(|| qemu_img::own(args.get(2..).unwrap_or_default()))
}

/// Called as `xe`, as `one-xcp xe …` or `one-xcp sim …`, the program is the simulated pool.
#[cfg(feature = "simulator")]
fn simulated(args: &[OsString]) -> Option<ExitCode> {
    use one_xcp::sim;
    let called_as = args.first().and_then(|path| Path::new(path).file_name());
    if called_as.is_some_and(|name| name == "xe") {
        return Some(sim::main(args.iter().skip(1).cloned()));
    }
    match args.get(1)?.to_str()? {
        "xe" => Some(sim::main(args.iter().skip(2).cloned())),
        "sim" => Some(sim::control::main(args.iter().skip(2).cloned())),
        _ => None,
    }
}
