//! What a console's relay costs: its memory when idle and when watched, and the share of a CPU that 1 MB/s of
//! picture takes, over XAPI's socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/console/viewer.rs"]
mod viewer;

use common::serve::{eventually, free_port};
use common::{Host, PROGRAM, said};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use viewer::Viewer;

/// One whole picture.
const PICTURE_BYTES: usize = 320 * 200 * 4 + 16;
const BYTES_A_SECOND: f64 = 1_000_000.0;

fn status_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// User and system time so far, of all its threads, those that have ended too.
fn cpu_seconds(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let span = Duration::from_secs(if quick { 2 } else { 20 });
    let host = Host::with_pool(&["--vms", "1"]);
    let xapi = host.serve("xcp-a");
    let host = host.set("XAPI_SOCKET", xapi.socket.to_str().unwrap());
    let vm = host.xe(&["vm-list", "name-label=one-1", "--minimal"]);
    let port = free_port();
    let mut command = host.command("bash");
    command.args(["-c", r#""$0" console_relay 1 <&0 & "#, PROGRAM]);
    command.env("MALLOC_ARENA_MAX", "1");
    said(&mut command, format!("1\n{vm}\nxcp-a\n127.0.0.1:{port}\n\n").as_bytes()).ok();
    let file = host.path(&format!("state/console-{vm}.pid"));
    let pid: u32 = fs::read_to_string(&file).unwrap().split(' ').next().unwrap().parse().unwrap();
    let memory = |when: &str| {
        let [most, anonymous] = ["VmHWM", "RssAnon"].map(|name| status_kib(pid, name));
        println!("{when:>8}: at most {most} KiB in memory, of which {anonymous} KiB are its own");
    };
    memory("idle");
    let mut viewer = Viewer::connect(port);
    viewer.enter();
    let (start, before) = (Instant::now(), cpu_seconds(pid));
    let mut bytes = 0;
    while start.elapsed() < span {
        viewer.ask_for_all();
        viewer.skip(PICTURE_BYTES);
        bytes += PICTURE_BYTES;
        let due = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    let (elapsed, used) = (start.elapsed().as_secs_f64(), cpu_seconds(pid) - before);
    memory("watched");
    println!("{:.2} MB/s took {:.2} % of a CPU", bytes as f64 / 1e6 / elapsed, 100.0 * used / elapsed);
    host.xe(&["vm-shutdown", &format!("uuid={vm}"), "force=true"]);
    eventually("the relay ends with its VM", || !file.exists());
}
