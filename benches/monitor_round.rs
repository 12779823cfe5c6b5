//! What a monitoring round costs beside the `xe` it waits for: the client's own CPU time and the peak of its
//! memory, with 10 to 10,000 VMs on one simulated host. A round is all probes of all kinds, each packed as it
//! is sent. Linear growth shows as a constant last column.
//!
//! Each size runs in a process of its own, so that its memory's peak is its own. Its CPU time is that of all
//! its threads; the simulated `xe` and XAPI are other processes, whose time is not counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::cast_precision_loss)]

use one_xcp::action::Caller;
use one_xcp::monitor::files::Files;
use one_xcp::monitor::host::Host;
use one_xcp::monitor::kind::Kind;
use one_xcp::monitor::log::Log;
use one_xcp::monitor::message::Message;
use one_xcp::monitor::round;
use one_xcp::one::MonitorConfiguration;
use one_xcp::probe::vm_status;
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_one-xcp");
/// In the environment of the process that is measured: how many rounds.
const ROUNDS: &str = "BENCH_ROUNDS";
const KINDS: [Kind; 6] =
    [Kind::SystemHost, Kind::MonitorHost, Kind::StateVm, Kind::ExecVm, Kind::MonitorVm, Kind::BeaconHost];

/// What must hold for 1,000 VMs.
const MAX_MS: f64 = 150.0;
const MAX_MIB: f64 = 32.0;

fn main() {
    if let Ok(rounds) = env::var(ROUNDS) {
        measured(rounds.parse().unwrap());
        return;
    }
    let quick = env::args().any(|arg| arg == "--quick");
    let sizes: &[(usize, u32)] =
        if quick { &[(10, 5), (100, 5)] } else { &[(10, 50), (100, 50), (1_000, 20), (10_000, 5)] };
    println!("{:>8} {:>12} {:>10} {:>10}", "VMs", "ms of CPU", "us a VM", "peak MiB");
    for &(vms, rounds) in sizes {
        let (ms, mib) = on_a_host_with(vms, rounds);
        println!("{vms:>8} {ms:>12.1} {:>10.1} {mib:>10.1}", ms * 1000.0 / vms as f64);
        assert!(vms > 1_000 || (ms < MAX_MS && mib < MAX_MIB), "more than {MAX_MS} ms or {MAX_MIB} MiB");
    }
}

/// Makes the host and has another process measured on it: milliseconds of CPU a round, and MiB.
fn on_a_host_with(vms: usize, rounds: u32) -> (f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let path = |below: &str| dir.path().join(below);
    let in_dir = |mut command: Command| {
        command.current_dir(dir.path()).env("XE_SIM", path("pool")).env("STATE_DIR", path("state"));
        command
    };
    let sim = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("sim").args(args);
        in_dir(command)
    };
    symlink(PROGRAM, path("xe")).unwrap();
    fs::create_dir_all(path("datastores/0")).unwrap();
    let made = sim(&["init", "--standalone", "--vms", &vms.to_string()]).status().unwrap();
    assert!(made.success());
    let mut xapi = sim(&["serve", "--socket", "xapi"]).stdout(Stdio::null()).spawn().unwrap();
    while !path("xapi").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let mut command = in_dir(Command::new(env::current_exe().unwrap()));
    command.env(ROUNDS, rounds.to_string()).env("XE", path("xe")).env("XAPI_SOCKET", path("xapi"));
    command.env("DATASTORE_LOCATION", path("datastores")).env("MALLOC_ARENA_MAX", "1");
    let said = command.stderr(Stdio::inherit()).output();
    end(&mut xapi);
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    let figures: Vec<f64> = said.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    (figures[0], figures[1])
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Runs the rounds in this process and prints its figures.
fn measured(rounds: u32) {
    let files = Files::of_host(0).unwrap();
    let log = Log::new(files.clone());
    let bytes = a_round(&files, &log);
    assert!(bytes > 0);
    let before = own_cpu();
    for _ in 0..rounds {
        // As long after the round before as in a pool: 10 s of measurements are asked for.
        _ = fs::remove_file(files.path("counters"));
        assert_eq!(a_round(&files, &log) / 100, bytes / 100);
    }
    let used = own_cpu().saturating_sub(before);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak_kib: f64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(!Path::new(&files.path("log")).exists(), "{}", fs::read_to_string(files.path("log")).unwrap());
    println!("{} {}", used.as_secs_f64() * 1000.0 / f64::from(rounds), peak_kib / 1024.0);
}

/// All kinds' texts, packed. Gives back how long they were.
fn a_round(files: &Files, log: &Log) -> usize {
    let caller = Caller { called_as: "im/xcp.d/monitord-client_control.sh".into(), verbose: false };
    let text = include_str!("../tests/recorded/opennebula-7.4/run_monitord_client/stdin");
    let configuration = MonitorConfiguration::parse(text).unwrap();
    // Without a name it is the pool's only host.
    let host = Host::new(&caller, "xcp", "", text.to_owned(), &configuration).unwrap().for_one_round();
    let mut bytes = 0;
    for kind in KINDS {
        let mut text = round::text(&host, kind, files, log).unwrap();
        if kind == Kind::StateVm {
            for vm in vm_status::all(&host.xe).unwrap() {
                vm_status::line(&mut text, vm.vm_id, &vm.deploy_id, vm.state.unwrap());
            }
        }
        bytes += text.len();
        let message = Message { kind, success: true, host_id: 0, time: 0, text: &text };
        assert!(!message.datagrams(None).unwrap().is_empty());
    }
    bytes
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
