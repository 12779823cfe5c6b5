//! A guest powers itself off: OpenNebula is told when its persistent disks are in their files.

use super::common::{Host, PROGRAM, Recorded, said};
use super::eventually;
use super::monitord::Monitord;
use std::fs;
use std::os::unix::fs::symlink;

/// A host with VM 1, which has a persistent disk, and its monitoring client.
struct Watched {
    host: Host,
    monitord: Monitord,
    uuid: String,
}

impl Watched {
    fn new() -> Watched {
        let host = Host::new();
        let recorded = Recorded::load("deploy").with("<SAVE><![CDATA[NO]]>", "<SAVE><![CDATA[YES]]>");
        let uuid = host.deploy_document(&recorded.argv[1], &recorded.stdin).ok();
        let watched = Watched { host, monitord: Monitord::new(), uuid };
        watched.start();
        watched
    }

    fn start(&self) {
        let control = self.host.path("remotes/im/xcp.d/monitord-client_control.sh");
        _ = symlink(PROGRAM, &control);
        let configuration = Recorded::load("run_monitord_client")
            .with("[4124]", &format!("[{}]", self.monitord.port))
            .with("<STATE_VM><![CDATA[5]]>", "<STATE_VM><![CDATA[1]]>");
        let mut command = self.host.command(control);
        let first = said(command.args(["xcp", "0", "xcp-a"]), &configuration.stdin).ok();
        assert!(super::part(&first, "STATE_VM").contains("STATE=\"RUNNING\""), "{first}");
    }

    fn stop(&self) {
        let mut command = self.host.command(self.host.path("remotes/im/xcp.d/monitord-client_control.sh"));
        _ = said(command.args(["stop", "xcp", "0"]), b"");
    }

    /// The guest writes, and powers itself off.
    fn ends(&self) {
        self.host.write_vdi(&self.host.vdi_in(&self.uuid, "0"), 1 << 20, b"last words");
        self.host.xe(&["vm-shutdown", &format!("uuid={}", self.uuid), "force=true"]);
    }

    fn is_in_file(&self) -> bool {
        fs::read(self.host.vm_folder(0, 1).join("disk.0")).unwrap()[1 << 20..].starts_with(b"last words")
    }

    fn is_told_off(&self) -> bool {
        self.monitord.got().iter().any(|got| got.kind == "STATE_VM" && got.text.contains("POWEROFF\" ]"))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn its_disk_is_in_its_file_before_opennebula_hears_of_it() {
    let watched = Watched::new();
    // While its disk is on the way OpenNebula takes it for running.
    watched.host.sim(&["delay", "vdi-export", "3000"]);
    watched.ends();
    eventually("OpenNebula is told", || {
        let is_told = watched.is_told_off();
        assert!(!is_told || watched.is_in_file(), "told before its disk is in its file");
        is_told
    });
    let exports = || watched.host.calls().iter().filter(|call| call.line.starts_with("vdi-export")).count();
    let rounds =
        || watched.host.calls().iter().filter(|call| call.line.contains("current-operations")).count();
    let (before, written) = (rounds(), exports());
    eventually("more rounds", || rounds() > before + 3);
    assert_eq!((exports(), written), (1, 1), "once is enough");
}

#[test]
fn what_failed_is_tried_again_and_a_client_that_comes_goes_on() {
    let watched = Watched::new();
    watched.host.sim(&["fail", "vdi-export", "--code", "SR_BACKEND_FAILURE_46", "--always"]);
    watched.ends();
    let log = || fs::read_to_string(watched.host.path("state/monitor-0.log")).unwrap_or_default();
    eventually("it failed", || log().contains("SR_BACKEND_FAILURE_46"));
    assert!(!watched.is_told_off() && !watched.is_in_file());
    watched.stop();
    watched.host.sim(&["clear"]);
    watched.start();
    eventually("OpenNebula is told", || watched.is_told_off());
    assert!(watched.is_in_file());
}
