//! A day of a monitoring client's rounds at up to 100 times its speed, against the simulated pool: its memory,
//! its descriptors and threads and its files must not grow. It takes 15 minutes and more, so it runs only when
//! asked for:
//!
//! ```sh
//! cargo test --test soak -- --ignored --nocapture
//! ```
//!
//! `SOAK_ROUNDS` sets another length, in rounds of MONITOR_VM.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::panic)]

mod common;
#[path = "monitor/monitord.rs"]
#[allow(dead_code)]
mod monitord;
#[path = "soak/pool.rs"]
mod pool;
#[path = "soak/process.rs"]
mod process;

use common::{Host, PROGRAM, Recorded};
use monitord::Monitord;
use process::Sample;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

const SPEED: u32 = 100;
/// A day has so many rounds of MONITOR_VM: one every 10 s.
const DAY_ROUNDS: usize = 24 * 3600 / 10;
/// What the first minutes may still add: tables that fill once, the heap's ends.
const WARM_UP: f64 = 0.25;

struct Client<'a> {
    host: &'a Host,
    child: Child,
}

impl Client<'_> {
    /// Starts a client as the control script leaves it behind, but faster.
    fn start(host: &Host, port: u16) -> Client<'_> {
        let program = host.path("one-xcp");
        fs::copy(PROGRAM, &program).unwrap();
        let control = host.path("remotes/im/xcp.d/monitord-client_control.sh");
        if !control.exists() {
            fs::create_dir_all(control.parent().unwrap()).unwrap();
            symlink(&program, &control).unwrap();
        }
        let configuration = Recorded::load("run_monitord_client").with("[4124]", &format!("[{port}]"));
        fs::create_dir_all(host.path("state")).unwrap();
        fs::write(host.path("state/monitor-0.pid"), "soak").unwrap();
        fs::write(host.path("state/monitor-0.xml"), configuration.stdin).unwrap();
        let mut command: Command = host.command(&program);
        command.arg("--called-as").arg(control).args(["monitor_client", "xcp", "0", "xcp-a", "soak"]);
        command.args(["--speed", &SPEED.to_string()]).env("MALLOC_ARENA_MAX", "1");
        command.env("XAPI_SOCKET", host.path("xapi"));
        Client { host, child: command.spawn().unwrap() }
    }

    fn sample(&self) -> Sample {
        Sample::take(self.child.id(), &self.host.path("state"), "monitor-")
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        _ = Command::new("kill").arg(self.child.id().to_string()).status();
        _ = self.child.wait();
    }
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn a_day_passes_and_nothing_grows() {
    let rounds = env::var("SOAK_ROUNDS").map_or(DAY_ROUNDS, |text| text.parse().unwrap());
    let host = Host::with_pool(&["--vms", "20"]);
    pool::serve_rrd_updates(&host);
    let mut monitord = Some(Monitord::new());
    let port = monitord.as_ref().unwrap().port;
    let client = Client::start(&host, port);
    let (start, mut samples, mut turn, mut told) = (Instant::now(), Vec::new(), 0_u32, 0);
    while told + heard(monitord.as_ref()) < rounds {
        thread::sleep(Duration::from_secs(1));
        turn += 1;
        pool::change(&host, turn);
        if turn % 60 == 30 {
            // onemonitord restarts.
            told += heard(monitord.take().as_ref());
        } else if turn % 60 == 33 {
            monitord = Some(Monitord::again(port));
        }
        if turn % 5 == 0 {
            host.forget_calls();
        }
        if turn % 15 == 0 {
            let sample = client.sample();
            println!("{:>5} s {sample}", start.elapsed().as_secs());
            samples.push(sample);
        }
    }
    println!("{rounds} rounds of MONITOR_VM in {} s", start.elapsed().as_secs());
    check(&samples);
}

fn heard(monitord: Option<&Monitord>) -> usize {
    monitord.map_or(0, |monitord| monitord.got().iter().filter(|got| got.kind == "MONITOR_VM").count())
}

/// The last half of the day may need no more than the part before it, after the warm-up, did.
#[track_caller]
fn check(samples: &[Sample]) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let warm = (samples.len() as f64 * WARM_UP) as usize;
    let (first, last) = samples[warm..].split_at((samples.len() - warm) / 2);
    for (what, of, slack) in Sample::FIGURES {
        let most = |samples: &[Sample]| samples.iter().map(of).max().unwrap();
        let (before, after) = (most(first), most(last));
        assert!(after <= before + slack, "{what} has grown from {before} to {after}");
    }
}
