//! What a client outlives, and what it does not.

use super::common::{PROGRAM, Recorded};
use super::eventually;
use super::monitord::Monitord;
use super::site::{Site, Vm, halted, running, state};
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

fn suspended(id: u32) -> Vm<'static> {
    Vm { power_state: "suspended", ..halted(id) }
}

/// Starts a client as the control script leaves it behind, but `speed` times as fast, from a program of its own.
fn client(site: &Site, speed: u32, configuration: &[u8]) -> Child {
    let program = site.path("one-xcp");
    fs::copy(PROGRAM, &program).unwrap();
    site.write("state/monitor-0.pid", "token");
    fs::write(site.path("state/monitor-0.xml"), configuration).unwrap();
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
        let mut client = client(&site, 60, &site.configuration());
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

/// OpenNebula shows the VMs of a host that fails as UNKNOWN, and waits for a word of each.
#[test]
fn after_a_round_that_failed_all_vms_are_told() {
    let monitord = Monitord::new();
    let site = Site::new(monitord.port);
    site.vms(&[running(1), running(2)]);
    site.start().ok();
    // The answer to the start has told of both: nothing of them is sent while nothing changes.
    monitord.wait_for("MONITOR_VM", "", 0);
    let listed = fs::read_to_string(site.path("records/vm-list")).unwrap();
    site.write("records/vm-list", "uuid ( RO)           : none\n\n\n");
    eventually("a round fails", || site.log().contains("STATE_VM"));
    let before = monitord.count();
    site.write("records/vm-list", &listed);
    let told = monitord.wait_for("STATE_VM", &state(1, "RUNNING"), before);
    assert!(
        told.text.contains(&state(2, "RUNNING")) && told.text.contains("SYNC_STATE=yes"),
        "{}",
        told.text
    );
}

/// Ten times as fast as a real onemonitord has it, all else as it was recorded (STATE_VM every 5 s, BEACON_HOST every
/// 10 s): 70 s without onemonitord, in which 14 rounds of STATE_VM pass, are 7 s. By then tries in vain are half a
/// minute apart.
#[test]
fn a_minute_without_onemonitord_loses_nothing_and_is_over_within_a_period() {
    let monitord = Monitord::new();
    let port = monitord.port;
    let site = Site::new(port);
    site.vms(&[1, 2, 3, 4].map(running));
    let recorded = Recorded::load("run_monitord_client").with("[4124]", &format!("[{port}]"));
    let mut client = client(&site, 10, &recorded.stdin);
    monitord.wait_for("STATE_VM", &state(4, "RUNNING"), 0);
    drop(monitord);
    site.vms(&[running(1), halted(2), running(3), running(4)]);
    eventually("it notices", || site.log().contains("cannot send STATE_VM"));
    for second in 0..70 {
        match second {
            20 => site.vms(&[running(1), running(2), halted(3), running(4)]),
            40 => site.vms(&[suspended(1), halted(2), running(3), running(5)]),
            _ => {}
        }
        thread::sleep(Duration::from_millis(100));
    }
    let monitord = Monitord::again(port);
    let got = monitord.wait_for("STATE_VM", "VM = ", 0);
    assert!(got.text.starts_with("SYNC_STATE=yes\n"), "{got:?}");
    for told in [state(1, "SUSPENDED"), state(2, "POWEROFF"), state(3, "RUNNING"), state(5, "RUNNING")] {
        assert!(got.text.contains(&told), "{told} is not in {got:?}");
    }
    // Two beacons would be more than a period of STATE_VM later.
    let all = monitord.got();
    let beacons = all.iter().take_while(|got| got.kind != "STATE_VM").filter(|got| got.kind == "BEACON_HOST");
    assert!(beacons.count() < 2, "{all:?}");
    // VM 4 left the pool: what is missing so long is told.
    monitord.wait_for("STATE_VM", &state(4, "POWEROFF"), 0);
    assert_eq!(site.log().matches("cannot send STATE_VM").count(), 1, "{}", site.log());
    client.kill().unwrap();
    client.wait().unwrap();
}
