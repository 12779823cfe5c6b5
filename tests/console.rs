//! Consoles as OpenNebula's GUIs reach them: a viewer on the VM's port, the relay, XAPI's console behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
#[path = "console/monitored.rs"]
mod monitored;
#[path = "console/viewer.rs"]
mod viewer;

use common::serve::{Serving, eventually, free_port};
use common::{Host, Recorded, Said};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use viewer::Viewer;

const GRAPHICS: &str = "<GRAPHICS><LISTEN><![CDATA[0.0.0.0]]></LISTEN><PORT><![CDATA[5901]]></PORT>\
                        <TYPE><![CDATA[VNC]]></TYPE></GRAPHICS>";
const PASSWORD: &str = "<PASSWD>geheim</PASSWD>";

/// A host of the pool with XAPI's socket, and a port for its VM's console.
struct Site {
    host: Host,
    port: u16,
    xapi: Serving,
}

impl Site {
    fn new() -> Site {
        Site::of(Host::new())
    }

    fn of(host: Host) -> Site {
        let xapi = host.serve("xcp-a");
        fs::write(host.path("ptoken"), "the pool's secret").unwrap();
        let (socket, secret) = (xapi.socket.clone(), host.path("ptoken"));
        let host = host.set("CONSOLE", "yes").set("XAPI_SOCKET", socket.to_str().unwrap());
        Site { host: host.set("POOL_SECRET_FILE", secret.to_str().unwrap()), port: free_port(), xapi }
    }

    /// Deploys with a console on the site's port; `more` goes into GRAPHICS.
    fn deploy(&self, more: &str) -> Said {
        let graphics = format!("<GRAPHICS><PORT>{}</PORT><TYPE>vnc</TYPE>{more}</GRAPHICS>", self.port);
        let recorded = Recorded::load("deploy").with(GRAPHICS, &graphics);
        self.host.deploy_document(&recorded.argv[1], &recorded.stdin)
    }

    fn viewer(&self) -> Viewer {
        Viewer::connect(self.port)
    }

    fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn relay_file(&self, vm: &str) -> PathBuf {
        self.host.path(&format!("state/console-{vm}.pid"))
    }

    fn relay(&self, vm: &str) -> u32 {
        pid_in(&self.relay_file(vm))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.host.path("state")).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("console-") {
                kill(pid_in(&entry.path()), rustix::process::Signal::TERM);
            }
        }
    }
}

fn pid_in(file: &std::path::Path) -> u32 {
    let text = fs::read_to_string(file).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    _ = rustix::process::kill_process(pid, signal);
}

/// A line of `/proc/PID/status`, in KiB.
fn memory_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_deployed_vm_is_seen_on_its_port_and_gone_with_it() {
    let site = Site::new();
    let uuid = site.deploy("").ok();
    for _ in 0..3 {
        let mut viewer = site.viewer();
        viewer.enter();
        assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0], "the picture of XAPI's console");
    }
    let shown = site.host.one_xcp(&["console", "1", "xcp-a"]).ok();
    assert!(shown.contains(&format!("listens on 127.0.0.1:{}", site.port)), "{shown}");
    assert!(shown.contains("gives the console: RFB 003.008"), "{shown}");
    site.host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert!(!site.listens() && !site.relay_file(&uuid).exists());
}

#[test]
fn several_look_on_and_the_one_who_was_first_makes_room() {
    let site = Site::new();
    site.deploy("").ok();
    let mut viewers: Vec<Viewer> = (0..4).map(|_| site.viewer()).collect();
    viewers.iter_mut().for_each(Viewer::enter);
    let mut fifth = site.viewer();
    fifth.enter();
    assert_eq!(fifth.pixel(1, 2), [0, 2, 1, 0]);
    assert!(viewers[0].is_shown_out());
    assert_eq!(viewers[3].pixel(1, 2), [0, 2, 1, 0]);
}

#[test]
fn only_who_knows_the_password_comes_in_and_nobody_else_reads_it() {
    let site = Site::new();
    let uuid = site.deploy(PASSWORD).ok();
    for version in ["003.003", "003.007", "003.008", "003.889"] {
        let mut viewer = site.viewer();
        assert_eq!(viewer.log_in(version, "geheim"), 0, "{version}");
        viewer.begin();
        assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0], "{version}");
    }
    let mut viewer = site.viewer();
    assert_eq!(viewer.log_in("003.008", "falsch"), 1);
    assert_eq!(viewer.reason(), "wrong password");
    assert!(viewer.is_shown_out());
    let command_line = fs::read(format!("/proc/{}/cmdline", site.relay(&uuid))).unwrap();
    let file = fs::read_to_string(site.relay_file(&uuid)).unwrap();
    for text in
        [site.host.dump(), site.host.sim(&["log"]), file, String::from_utf8_lossy(&command_line).into_owned()]
    {
        assert!(!text.contains("geheim"), "{text}");
    }
    let shown = site.host.one_xcp(&["console", &uuid, "xcp-a"]).ok();
    assert!(shown.contains("with a password"), "{shown}");
}

#[test]
fn a_random_password_that_did_not_come_opens_no_console() {
    let site = Site::new();
    let said = site.deploy("<RANDOM_PASSWD>YES</RANDOM_PASSWD>");
    assert!(said.log().iter().any(|line| line.starts_with("WARN: GRAPHICS has RANDOM_PASSWD")), "{said:?}");
    said.ok();
    assert!(!site.listens());
}

#[test]
fn what_no_console_can_be_made_of_is_said_and_the_vm_runs() {
    let site = Site::new();
    for (more, word) in [
        ("<PORT>auto</PORT>", "GRAPHICS/PORT is \"auto\""),
        ("<PASSWD><![CDATA[a\nb]]></PASSWD>", "GRAPHICS/PASSWD holds"),
        ("<LISTEN>vnc.example.org</LISTEN>", "GRAPHICS/LISTEN"),
    ] {
        let said = site.deploy(more);
        assert!(said.stderr.contains(word), "{said:?}");
        said.ok();
    }
    assert!(site.listens(), "an address that is none becomes 127.0.0.1");
}

#[test]
fn a_console_that_cannot_listen_is_said_and_the_vm_runs() {
    let site = Site::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let said = site.deploy("");
    let line = format!("WARN: the VM has no console: cannot listen on 127.0.0.1:{}", site.port);
    assert!(said.log().iter().any(|log| log.starts_with(&line)), "{said:?}");
    let uuid = said.ok();
    assert_eq!(site.host.vm_param(&uuid, "power-state"), "running");
}

#[test]
fn deployed_again_the_console_moves_to_the_new_port() {
    let mut site = Site::new();
    let uuid = site.deploy("").ok();
    let (old, relay) = (site.port, site.relay(&uuid));
    assert_eq!(site.deploy("").ok(), uuid);
    assert_eq!(site.relay(&uuid), relay, "nothing has changed");
    site.port = free_port();
    assert_eq!(site.deploy(PASSWORD).ok(), uuid);
    assert!(TcpStream::connect(("127.0.0.1", old)).is_err());
    assert_eq!(site.viewer().log_in("003.008", "geheim"), 0);
}

#[test]
fn a_relay_ends_when_its_vm_has() {
    let site = Site::new();
    let uuid = site.deploy("").ok();
    let mut viewer = site.viewer();
    viewer.enter();
    site.host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    assert!(viewer.is_shown_out());
    eventually("the relay is gone", || !site.relay_file(&uuid).exists());
    assert!(!site.listens());
}

/// Nobody looked on when the guest powered itself off, and no monitoring client has seen it yet.
#[test]
fn deployed_again_after_its_guest_has_ended_the_console_has_its_port() {
    let site = Site::new();
    let uuid = site.deploy("").ok();
    site.host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    assert!(site.listens(), "the relay of before");
    let said = site.deploy("");
    assert!(!said.stderr.contains("console"), "{said:?}");
    let again = said.ok();
    assert!(again != uuid && !site.relay_file(&uuid).exists());
    let mut viewer = site.viewer();
    viewer.enter();
    assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0]);
    site.host.on_vm("shutdown", "shutdown.3", &again).ok();
    assert!(!site.listens());
}

#[test]
fn what_an_earlier_record_has_left_goes_with_the_vm() {
    let site = Site::new();
    let uuid = site.deploy("").ok();
    site.host.xe(&["vm-uninstall", &format!("uuid={uuid}"), "force=true"]);
    assert!(site.listens());
    let host = &site.host;
    let other = "00000000-0000-4000-8000-000000000001";
    host.on_vm("cancel", "cancel.3", other).ok();
    assert!(!site.listens() && !site.relay_file(&uuid).exists());
}

#[test]
fn a_viewer_hears_why_there_is_no_picture() {
    let mut site = Site::new();
    site.deploy("").ok();
    site.xapi = site.host.serve("xcp-b");
    let socket = site.host.path("xapi-xcp-a");
    fs::remove_file(socket).unwrap();
    let mut viewer = site.viewer();
    let why = viewer.refusal();
    assert!(why.contains("gives no console of"), "{why}");
    // The next one after XAPI is back sees it.
    site.xapi = site.host.serve("xcp-a");
    let mut viewer = site.viewer();
    viewer.enter();
    assert_eq!(viewer.pixel(1, 2), [0, 2, 1, 0]);
}

#[test]
fn a_text_console_comes_as_it_is() {
    let site = Site::new();
    let uuid = site.deploy("").ok();
    site.host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    site.host.xe(&["vm-param-set", &format!("uuid={uuid}"), "HVM-boot-policy="]);
    site.host.xe(&["vm-start", &format!("uuid={uuid}"), "on=xcp-a"]);
    let mut viewer = site.viewer();
    assert_eq!(viewer.text(9), "\r\nlogin: ");
    viewer.send(b"root");
    assert_eq!(viewer.text(4), "root");
}

#[test]
fn who_says_nothing_or_reads_nothing_costs_little_and_stops_nobody() {
    let site = Site::new();
    let uuid = site.deploy(PASSWORD).ok();
    let relay = site.relay(&uuid);
    let idle = memory_kib(relay, "RssAnon");
    // Half-open: connected, and silent.
    let silent: Vec<Viewer> = (0..40).map(|_| site.viewer()).collect();
    // It asks for far more pictures than it reads.
    let mut deaf = site.viewer();
    assert_eq!(deaf.log_in("003.008", "geheim"), 0);
    deaf.begin();
    for _ in 0..200 {
        deaf.ask_for_all();
    }
    let mut viewer = site.viewer();
    assert_eq!(viewer.log_in("003.008", "geheim"), 0);
    viewer.begin();
    for _ in 0..20 {
        assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0]);
    }
    let grown = memory_kib(relay, "RssAnon") - idle;
    assert!(grown < 2048, "{grown} KiB more than {idle}");
    drop(silent);
}

#[test]
fn fifty_consoles_of_one_host() {
    let site = Site::of(Host::with_pool(&["--vms", "100"]));
    let running = site.host.xe(&["vm-list", "resident-on=xcp-a", "is-control-domain=false", "--minimal"]);
    let on_a = site.host.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    let running = if running.is_empty() {
        site.host.xe(&["vm-list", &format!("resident-on={on_a}"), "is-control-domain=false", "--minimal"])
    } else {
        running
    };
    let vms: Vec<&str> = running.split(',').take(50).collect();
    assert_eq!(vms.len(), 50);
    let ports: Vec<u16> = vms.iter().map(|vm| monitored::relay_by_hand(&site, vm)).collect();
    let mut viewers: Vec<Viewer> = ports.iter().map(|port| Viewer::connect(*port)).collect();
    viewers.iter_mut().for_each(Viewer::enter);
    for viewer in &mut viewers {
        assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0]);
    }
    let most = vms.iter().map(|vm| memory_kib(site.relay(vm), "RssAnon")).max().unwrap();
    assert!(most < 4096, "{most} KiB");
}

/// Drivers that run on the front-end: consoles listen there, and come over TLS.
#[cfg(feature = "tls")]
#[test]
fn on_the_front_end_the_console_comes_over_tls() {
    let host = Host::with_pool(&["--standalone", "--password", "xapis secret"]);
    let uuid = format!("uuid={}", host.xe(&["host-list", "--minimal"]));
    host.xe(&["host-param-set", &uuid, "name-label=localhost"]);
    fs::write(host.path("password"), "root\nxapis secret\n").unwrap();
    let xapi = host.serve_tls("localhost");
    let password = host.path("password").to_str().unwrap().to_owned();
    let host = host.set("CONSOLE", "yes").set("XE_SERVER", "HOST").set("XE_PASSWORD_FILE", &password);
    let host = host.set("XAPI_PORT", &xapi.port.to_string()).set("XAPI_FINGERPRINT", &xapi.fingerprint);
    let site = Site { host, port: free_port(), xapi };
    let graphics = format!("<GRAPHICS><PORT>{}</PORT><TYPE>VNC</TYPE>{PASSWORD}</GRAPHICS>", site.port);
    let recorded = Recorded::load("deploy").with(GRAPHICS, &graphics);
    let said = site.host.deploy_document("localhost", &recorded.stdin);
    assert!(!said.stderr.contains("console"), "{said:?}");
    let uuid = said.ok();
    for _ in 0..2 {
        let mut viewer = site.viewer();
        assert_eq!(viewer.log_in("003.008", "geheim"), 0);
        viewer.begin();
        assert_eq!(viewer.pixel(5, 7), [0, 7, 5, 0]);
        viewer.ask_for_all();
        viewer.skip(320 * 200 * 4 + 16);
    }
    let message = Recorded::load("shutdown.3").stdin;
    site.host.run("shutdown", &[&uuid, "localhost", "1", "localhost"], &message).ok();
    assert!(!site.listens());
}
