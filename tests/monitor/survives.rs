//! What a client outlives, and what it does not.

use super::common::PROGRAM;
use super::eventually;
use super::monitord::Monitord;
use super::site::{Site, Vm, halted, running, state, uuid};
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

/// Starts a client as the control script leaves it behind, but `speed` times as fast, from a program of its own.
fn client(site: &Site, speed: u32) -> Child {
    let program = site.path("one-xcp");
    fs::copy(PROGRAM, &program).unwrap();
    site.write("tmp/one-xcp-monitor-0.pid", "token");
    fs::write(site.path("tmp/one-xcp-monitor-0.xml"), site.configuration()).unwrap();
    let mut command: Command = site.command(&program);
    command.arg("--called-as").arg(site.control()).args(["monitor_client", "xcp", "0", "xcp-a", "token"]);
    command.args(["--speed", &speed.to_string()]).spawn().unwrap()
}

#[test]
fn it_ends_when_its_script_or_its_program_is_gone_for_good() {
    for gone in ["remotes/im/xcp.d/monitord-client_control.sh", "one-xcp"] {
        let monitord = Monitord::new();
        let site = Site::new(monitord.port);
        // Half a minute without them is half a second.
        let mut client = client(&site, 60);
        monitord.wait_for("MONITOR_HOST", "", 0);
        // As `onehost sync` does.
        fs::rename(site.path(gone), site.path("away")).unwrap();
        thread::sleep(Duration::from_millis(100));
        fs::rename(site.path("away"), site.path(gone)).unwrap();
        let before = monitord.count();
        monitord.wait_for("MONITOR_HOST", "", before + 5);
        fs::remove_file(site.path(gone)).unwrap();
        eventually("it ends", || site.log().contains("the drivers are gone"));
        assert!(client.wait().unwrap().success());
    }
}

/// At 60 times the speed a second is a minute: a dozen rounds of states, and the longest pause between two tries.
#[test]
fn a_minute_without_onemonitord_loses_no_state() {
    let monitord = Monitord::new();
    let port = monitord.port;
    let site = Site::new(port);
    site.vms(&[running(1), running(2), running(3)]);
    let mut client = client(&site, 60);
    monitord.wait_for("STATE_VM", &uuid(3), 0);
    drop(monitord);
    let paused = Vm { power_state: "paused", ..running(1) };
    for vms in [&[halted(1), running(2), halted(3)][..], &[paused, running(3)], &[halted(1), running(3)]] {
        site.vms(vms);
        thread::sleep(Duration::from_millis(400));
    }
    let monitord = Monitord::again(port);
    let got = monitord.wait_for("STATE_VM", "VM = ", 0);
    assert!(got.text.starts_with("SYNC_STATE=yes\n"), "{got:?}");
    assert!(got.text.contains(&state(1, "POWEROFF")) && got.text.contains(&state(3, "RUNNING")), "{got:?}");
    // What is not in the pool is told when it is sure to be gone.
    monitord.wait_for("STATE_VM", &state(2, "POWEROFF"), 0);
    // And it goes on as before.
    let before = monitord.count();
    site.vms(&[halted(1), halted(3)]);
    monitord.wait_for("STATE_VM", &state(3, "POWEROFF"), before);
    client.kill().unwrap();
    client.wait().unwrap();
}
