//! What a client outlives, and what it does not.

use super::common::PROGRAM;
use super::eventually;
use super::monitord::Monitord;
use super::site::Site;
use std::fs;
use std::process::{Child, Command};

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
        std::thread::sleep(std::time::Duration::from_millis(100));
        fs::rename(site.path("away"), site.path(gone)).unwrap();
        let before = monitord.count();
        monitord.wait_for("MONITOR_HOST", "", before + 5);
        fs::remove_file(site.path(gone)).unwrap();
        eventually("it ends", || site.log().contains("the drivers are gone"));
        assert!(client.wait().unwrap().success());
    }
}
