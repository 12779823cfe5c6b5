//! Monitoring clients of several hosts on one front-end: what one has asked the pool serves the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
#[path = "monitor/monitord.rs"]
#[allow(dead_code)]
mod monitord;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Host, Recorded, said};
use monitord::{Monitord, PATIENCE};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const HOSTS: [&str; 3] = ["xcp-a", "xcp-b", "xcp-c"];

/// A front-end with a client for each of three hosts.
struct FrontEnd {
    host: Host,
    monitord: Monitord,
}

impl FrontEnd {
    fn new() -> FrontEnd {
        let host = Host::with_pool(&["--hosts", "3", "--vms", "9"]);
        fs::write(host.path("password"), "root\nxen\n").unwrap();
        fs::set_permissions(host.path("password"), fs::Permissions::from_mode(0o600)).unwrap();
        let password = host.path("password").display().to_string();
        let host = host.set("XE_SERVER", "HOST").set("XE_PASSWORD_FILE", &password);
        FrontEnd { host, monitord: Monitord::new() }
    }

    fn control(&self) -> Command {
        self.host.command(self.host.path("remotes/im/xcp.d/monitord-client_control.sh"))
    }

    fn start(&self) {
        for (id, name) in HOSTS.iter().enumerate() {
            let mut recorded = Recorded::load("run_monitord_client")
                .with("[4124]", &format!("[{}]", self.monitord.port))
                .with("<HOST_ID>0</HOST_ID>", &format!("<HOST_ID>{id}</HOST_ID>"));
            for (kind, recorded_period) in
                [("STATE_VM", "5"), ("MONITOR_VM", "10"), ("MONITOR_HOST", "10"), ("SYSTEM_HOST", "30")]
            {
                let period = |seconds: &str| format!("<{kind}><![CDATA[{seconds}]]>");
                recorded = recorded.with(&period(recorded_period), &period("1"));
            }
            said(self.control().args(["xcp", &id.to_string(), name]), &recorded.stdin).ok();
        }
    }

    fn pid(&self, id: usize) -> String {
        let file = self.host.path(&format!("state/monitor-{id}.pid"));
        fs::read_to_string(file).unwrap().split(' ').next().unwrap().to_owned()
    }

    /// The client whose `xe` does not come to an end, and that `xe`.
    fn waiting_client(&self) -> (usize, String) {
        let children = |id: usize| -> Vec<String> {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid(id))).unwrap().flatten();
            let of_task =
                |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
            tasks
                .flat_map(|task| of_task(task).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect()
        };
        let end = Instant::now() + PATIENCE;
        loop {
            let before: Vec<Vec<String>> = (0..3).map(children).collect();
            thread::sleep(Duration::from_millis(700));
            for (id, before) in before.iter().enumerate() {
                if let Some(xe) = children(id).into_iter().find(|child| before.contains(child)) {
                    return (id, xe);
                }
            }
            assert!(Instant::now() < end, "no xe hangs");
        }
    }

    /// What was told by UDP of a host's VMs, in messages later than the first `after`.
    fn monitored(&self, id: u32, after: usize) -> Vec<String> {
        let got = self.monitord.got();
        let of_host = got.iter().skip(after).filter(|got| got.kind == "MONITOR_VM" && got.host_id == id);
        of_host.map(|got| got.text.clone()).collect()
    }

    /// How many messages of a kind came after the first `after`, from all clients.
    fn told(&self, kind: &str, after: usize) -> usize {
        self.monitord.got().iter().skip(after).filter(|got| got.kind == kind).count()
    }

    /// The calls with all of these words.
    fn asked(&self, words: &[&str]) -> usize {
        let calls = self.host.calls();
        calls.iter().filter(|call| words.iter().all(|word| call.line.contains(word))).count()
    }
}

impl Drop for FrontEnd {
    fn drop(&mut self) {
        for id in 0..HOSTS.len() {
            _ = self.control().args(["stop", "xcp", &id.to_string()]).output();
        }
    }
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_call_serves_three_clients_and_each_tells_of_its_own_vms() {
    let front_end = FrontEnd::new();
    let host = &front_end.host;
    for vm in 1..=9 {
        let uuid = host.xe(&["vm-list", &format!("name-label=one-{vm}"), "--minimal"]);
        host.sim(&["guest", &uuid, &format!("ip=10.0.0.{vm}")]);
    }
    for name in HOSTS {
        let template = host.xe(&["template-list", "name-label=Other install media", "--minimal"]);
        let wild = host.xe(&[
            "vm-install",
            &format!("template={template}"),
            &format!("new-name-label=wild on {name}"),
        ]);
        host.xe(&["vm-start", &format!("uuid={wild}"), &format!("on={name}")]);
    }
    // Whoever is a little late still finds the answer under way.
    host.sim(&["delay", "any", "150"]);
    front_end.start();
    host.forget_calls();
    let before = front_end.monitord.count();
    let rounds = |id: u32| front_end.monitored(id, before).len();
    eventually("six rounds of each", || (0..3).all(|id| rounds(id) >= 6));
    // What is asked in each round of a kind, or in every second one.
    for (kind, words, every) in [
        ("MONITOR_VM", &["vm-list", "memory-actual"][..], 1),
        ("MONITOR_VM", &["vm-list", "params=networks"], 2),
        ("MONITOR_VM", &["vbd-list"], 2),
        ("MONITOR_VM", &["vdi-list"], 2),
        ("MONITOR_HOST", &["host-list", "memory-free"], 1),
        ("SYSTEM_HOST", &["host-list", "software-version"], 1),
        ("SYSTEM_HOST", &["pool-list", "params=name-label"], 1),
        ("SYSTEM_HOST", &["pbd-list"], 1),
        ("SYSTEM_HOST", &["sr-list"], 1),
        ("SYSTEM_HOST", &["vm-list", "VCPUs-at-startup"], 1),
        ("SYSTEM_HOST", &["vm-list", "params=name-label"], 1),
    ] {
        let (told, asked) = (front_end.told(kind, before), front_end.asked(words));
        assert!(asked > 0, "{words:?}");
        assert!(asked * every * 3 < told * 2, "{words:?}: {asked} calls for {told} messages of {kind}");
    }
    // VM 1 is on the first host, VM 2 on the second, and so on.
    for (id, name) in (0..3).zip(HOSTS) {
        let of_host = |got: &&monitord::Got| got.kind == "SYSTEM_HOST" && got.host_id == id;
        let system = front_end.monitord.got().iter().rfind(of_host).unwrap().text.clone();
        assert!(system.contains(&format!("HOSTNAME=\"{name}\"")), "{system}");
        let wild = |name: &str| system.contains(&format!("VM_NAME=\"wild on {name}\""));
        assert!(HOSTS.iter().all(|other| wild(other) == (*other == name)), "{system}");
        let local = system.lines().filter(|line| line.contains("NAME = \"Local storage\""));
        assert_eq!(local.count(), 1, "{system}");
        for text in front_end.monitored(id, before) {
            let mut ids: Vec<u32> = text
                .lines()
                .map(|line| line.split_once("ID=\"").unwrap().1.split('"').next().unwrap().parse().unwrap())
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, [id + 1, id + 4, id + 7], "{text}");
        }
        let last = front_end.monitored(id, before).pop().unwrap();
        for line in last.lines() {
            let value = |name: &str| line.split_once(name).unwrap().1.split('"').next().unwrap();
            let used = String::from_utf8(STANDARD.decode(value("MONITOR=\"")).unwrap()).unwrap();
            let address = format!("GUEST_IP=\"10.0.0.{}\"\n", value(" ID=\""));
            assert!(used.contains(&address), "{line}: {used}");
        }
    }
    // The end of one client is nobody else's.
    let pids = [0, 1, 2].map(|id| front_end.pid(id));
    said(front_end.control().args(["stop", "xcp", "1"]), b"").ok();
    eventually("the second ends", || !is_alive(&pids[1]));
    let before = front_end.monitord.count();
    eventually("the others go on", || [0, 2].iter().all(|id| front_end.monitored(*id, before).len() > 1));
    assert!(is_alive(&pids[0]) && is_alive(&pids[2]));
    let state = front_end.host.path("state");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let mut names =
        fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with("shared-")));
}

#[test]
fn a_change_is_told_by_the_client_of_its_host_and_a_dead_client_holds_up_nobody() {
    let front_end = FrontEnd::new();
    front_end.start();
    let (host, monitord) = (&front_end.host, &front_end.monitord);
    let halt = |name: &str| host.xe(&["vm-shutdown", &format!("vm={name}"), "force=true"]);
    let before = monitord.count();
    halt("one-3");
    let told = monitord.wait_for("STATE_VM", "ID=\"3\"", before);
    assert_eq!(told.host_id, 2);
    // Whoever asks for the VMs next never gets an answer, and is killed over it.
    host.sim(&["hang", "vm-list"]);
    let (holder, xe) = front_end.waiting_client();
    kill(&front_end.pid(holder));
    kill(&xe);
    let other = u32::try_from((holder + 1) % 3).unwrap();
    let before = monitord.count();
    halt(&format!("one-{}", other + 4));
    assert_eq!(monitord.wait_for("STATE_VM", &format!("ID=\"{}\"", other + 4), before).host_id, other);
    let of_other = || front_end.monitored(other, before).len();
    eventually("two rounds of figures", || of_other() > 1);
}

/// A process that has ended and was not waited for yet has no command line.
fn is_alive(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn kill(pid: &str) {
    Command::new("kill").args(["-KILL", pid]).status().unwrap();
}
