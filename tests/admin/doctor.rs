//! `one-xcp doctor`: pools and machines with something broken, and what it advises.
use crate::common::{Host, PROGRAM, Said};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::thread;

/// A host where nothing is broken; the socket is XAPI's.
fn healthy(options: &[&str]) -> (Host, UnixListener) {
    let host = Host::with_pool(options);
    symlink(PROGRAM, host.path("remotes/vmm/xcp/one-xcp")).unwrap();
    script(&host, "bin/timedatectl", "echo 'System clock synchronized: yes'");
    let socket = UnixListener::bind(host.path("xapi")).unwrap();
    let path = host.path("xapi").display().to_string();
    let measured = "<xport><meta><step>5</step><legend></legend></meta><data></data></xport>";
    answer(&socket, format!("200 OK\r\nContent-Length: {}\r\n\r\n{measured}", measured.len()));
    (host.set("XAPI_SOCKET", &path), socket)
}

/// Answers whoever asks on the socket.
fn answer(socket: &UnixListener, with: String) {
    let socket = socket.try_clone().unwrap();
    thread::spawn(move || {
        for mut stream in socket.incoming().flatten() {
            let mut request = String::new();
            _ = BufReader::new(&stream).read_line(&mut request);
            if request.starts_with("GET /rrd_updates?") {
                _ = stream.write_all(format!("HTTP/1.1 {with}").as_bytes());
            }
        }
    });
}

#[test]
fn without_xcp_rrdd_the_missing_figures_are_noted() {
    let (host, _socket) = healthy(&[]);
    let socket = UnixListener::bind(host.path("no-rrdd")).unwrap();
    answer(&socket, "404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned());
    let path = host.path("no-rrdd").display().to_string();
    let shown = doctor(&host.set("XAPI_SOCKET", &path), &["xcp-a"]).ok();
    let line = shown.lines().find(|line| line.starts_with("note  metrics: ")).unwrap();
    assert!(line.contains("XAPI answers on") && line.contains("404") && line.contains("xcp-rrdd"), "{line}");
}

fn script(host: &Host, below: &str, text: &str) {
    fs::write(host.path(below), format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(host.path(below), fs::Permissions::from_mode(0o755)).unwrap();
}

fn doctor(host: &Host, args: &[&str]) -> Said {
    host.one_xcp(&[&["doctor", "--remotes", "remotes"], args].concat())
}

/// Something must be mended: exit 1, and this line.
#[track_caller]
fn must_mend(said: &Said, line: &str) {
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.starts_with("doctor: things that must be mended: "), "{said:#?}");
    assert!(said.stdout.lines().any(|shown| shown == format!("MEND  {line}")), "no {line:?}: {said:#?}");
}

/// It works with a limit.
#[track_caller]
fn notes(said: Said, line: &str) {
    let shown = said.ok();
    assert!(shown.lines().any(|shown| shown == format!("note  {line}")), "no {line:?}: {shown}");
}

#[test]
fn a_healthy_host_is_fine_in_every_line() {
    let (host, _socket) = healthy(&[]);
    host.deploy().ok();
    host.forget_calls();
    let shown = doctor(&host, &["xcp-a"]).ok();
    for subject in ["settings", "remotes", "datastores", "metrics", "clock", "xe", "login", "host"] {
        assert!(shown.contains(&format!("ok    {subject}: ")), "{subject}: {shown}");
    }
    for subject in ["default SR", "suspend SR", "template", "networks", "guest tools"] {
        assert!(shown.contains(&format!("ok    {subject}: ")), "{subject}: {shown}");
    }
    let is_room = |line: &&str| line.contains("datastores: ");
    assert!(shown.lines().filter(|line| !is_room(line)).all(|line| line.starts_with("ok    ")), "{shown}");
    assert_eq!(host.calls().len(), 9, "{:#?}", host.calls());
    let json = doctor(&host, &["xcp-a", "--json"]).ok();
    assert!(json.contains(r#"{"level":"ok","subject":"host","text":"xcp-a is xcp-a ("#), "{json}");
}

#[test]
fn another_program_of_the_name_xe_is_told_from_xapis() {
    let (host, _socket) = healthy(&[]);
    script(&host, "xe", "echo 'Usage: xe [-0FLRnv] [-I RTEXT] COMMAND...' >&2; exit 1");
    let host = host.set("XE", "./xe");
    must_mend(
        &doctor(&host, &[]),
        "xe: ./xe is another program (it says \"Usage: xe [-0FLRnv] [-I RTEXT] COMMAND...\"): Debian has one of \
         this name; in dom0 XAPI's is /opt/xensource/bin/xe: set XE in xcprc",
    );
    let host = host.set("XE", "./none");
    let said = doctor(&host, &[]);
    assert!(said.stdout.contains("MEND  xe: there is no program ./none"), "{said:?}");
}

#[test]
fn who_may_not_log_in_is_told_why() {
    let (host, _socket) = healthy(&[]);
    fs::write(host.path("password"), "root\nwrong\n").unwrap();
    fs::set_permissions(host.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    let file = host.path("password").display().to_string();
    let host = host.set("XE_SERVER", "192.168.10.1").set("XE_PASSWORD_FILE", &file);
    let said = doctor(&host, &[]);
    must_mend(&said, &format!("settings: XE_PASSWORD_FILE {file} can be read by others: chmod 600 {file}"));
    assert!(said.stdout.contains(&format!(": correct user name and password in {file}\n")), "{said:?}");
    fs::write(&file, "root xen\n").unwrap();
    let said = doctor(&host, &[]);
    must_mend(
        &said,
        &format!(
            "settings: XE_PASSWORD_FILE {file} has not two lines: the user's name on the first, the password on the second"
        ),
    );
    assert!(!said.stdout.contains("xen\n"), "{said:?}");
}

#[test]
fn xapi_that_does_not_answer_is_named() {
    let (host, _socket) = healthy(&[]);
    host.sim(&["fail", "host-list", "--code", "HOST_OFFLINE", "--params", "xcp-a", "--always"]);
    let said = doctor(&host, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("MEND  login: xe host-list"), "{said:?}");
    assert!(said.stdout.contains("see whether XAPI runs (xe-toolstack-restart)"), "{said:?}");
    host.sim(&["clear"]);
    host.sim(&["fail", "sr-list", "--garbage"]);
    must_mend(
        &doctor(&host, &["xcp-a"]),
        "storage: xe sr-list params=uuid,name-label,content-type,shared,physical-size,physical-utilisation: the answer \
         is cut off: see whether xe says so again",
    );
}

#[test]
fn broken_storage_is_found() {
    let (host, _socket) = healthy(&[]);
    let pool = host.xe(&["pool-list", "--minimal"]);
    let nfs = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let set = |name: &str, value: &str| {
        host.xe(&["pool-param-set", &format!("uuid={pool}"), &format!("{name}={value}")]);
    };
    set("suspend-image-SR", "");
    for each in host.xe(&["host-list", "--minimal"]).split(',') {
        host.xe(&["host-param-set", &format!("uuid={each}"), "suspend-image-sr-uuid="]);
    }
    must_mend(
        &doctor(&host, &["xcp-a"]),
        &format!(
            "suspend SR: there is none on xcp-a, xcp-b: no VM can be suspended there: xe pool-param-set uuid={pool} \
             suspend-image-SR=UUID (xe sr-list)"
        ),
    );
    set("suspend-image-SR", &nfs);
    let on = "xcp-a";
    let filters = [format!("sr-uuid={nfs}"), format!("host-name-label={on}")];
    let pbd = host.xe(&["pbd-list", &filters[0], &filters[1], "--minimal"]);
    host.xe(&["pbd-unplug", &format!("uuid={pbd}")]);
    let said = doctor(&host, &["xcp-a"]);
    must_mend(&said, &format!("SRs: Shared NFS is not plugged on {on}: xe pbd-plug uuid={pbd}"));
    must_mend(
        &said,
        &format!("default SR: Shared NFS is not to be had on {on}: plug it there (xe pbd-list, xe pbd-plug)"),
    );
    host.xe(&["pbd-plug", &format!("uuid={pbd}")]);
    let a = host.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    let local = host.xe(&[
        "sr-create",
        "name-label=Small",
        "type=lvm",
        "content-type=user",
        "physical-size=50GiB",
        &format!("host-uuid={a}"),
        "device-config:device=/dev/sdb",
    ]);
    let figure = |name: &str| -> u64 {
        host.xe(&["sr-list", &format!("uuid={local}"), &format!("params={name}"), "--minimal"])
            .parse()
            .unwrap()
    };
    let (size, used) = (figure("physical-size"), figure("physical-utilisation"));
    // A volume is a little larger than its disk.
    let fill = |free: u64| {
        let size = format!("virtual-size={}", size - used - free - (200 << 20));
        host.xe(&["vdi-create", &format!("sr-uuid={local}"), "name-label=big", "type=user", &size])
    };
    let free = || (size - figure("physical-utilisation")) >> 20;
    let big = fill(500 << 20);
    must_mend(
        &doctor(&host, &["xcp-a"]),
        &format!(
            "room: Small has {} of {} MB free: remove disks that nobody wants (one-xcp gc), or make it larger",
            free(),
            size >> 20
        ),
    );
    host.xe(&["vdi-destroy", &format!("uuid={big}")]);
    fill(2 << 30);
    notes(
        doctor(&host, &["xcp-a"]),
        &format!("room: Small has {} of {} MB free: it will be full soon", free(), size >> 20),
    );
}

#[test]
fn settings_that_name_what_is_not_there_are_found() {
    let (host, _socket) = healthy(&[]);
    let host = host.set("DEFAULT_SR", "Fast").set("TEMPLATE", "Nothing").set("SHUTDOWN_TIMEOUT", "soon");
    let said = doctor(&host, &["xcp-a"]);
    must_mend(&said, "default SR: there is no SR \"Fast\": correct DEFAULT_SR (xe sr-list)");
    must_mend(
        &said,
        "template: the pool has no template \"Nothing\": set TEMPLATE to one of xe template-list",
    );
    must_mend(
        &said,
        "settings: SHUTDOWN_TIMEOUT is \"soon\" in the environment: it must be a number of seconds: correct it",
    );
    let host = host.set("DEFAULT_SR", "XenServer Tools");
    must_mend(
        &doctor(&host, &["xcp-a"]),
        "default SR: XenServer Tools holds only ISO images: choose another",
    );
    let host = host.set("DEFAULT_SR", "Local storage");
    must_mend(
        &doctor(&host, &["xcp-a"]),
        "default SR: 2 SRs have the name of DEFAULT_SR: name it by its uuid",
    );
}

#[test]
fn each_setting_is_read_as_its_action_reads_it() {
    for (name, value, why) in [
        (
            "CONSOLE",
            "off",
            "settings: CONSOLE is \"off\" in the environment: it must be yes or no: correct it",
        ),
        ("PCI_FILTER", "zz", "settings: PCI_FILTER: \"zz\" is not a hexadecimal number: correct it"),
        ("MIGRATE_SR", "Fast", "MIGRATE_SR: there is no SR \"Fast\": correct MIGRATE_SR (xe sr-list)"),
        (
            "REMOTE_PASSWORD_FILE",
            "/nowhere/pw",
            "settings: cannot read REMOTE_PASSWORD_FILE /nowhere/pw: make it, for oneadmin to read",
        ),
    ] {
        let (host, _socket) = healthy(&[]);
        let host = host.set(name, value);
        let said = doctor(&host, &["xcp-a"]);
        must_mend(&said, why);
        assert_eq!(said.stdout.contains("ok    settings: "), name == "MIGRATE_SR", "{said:?}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn from_the_front_end_xapi_is_asked_over_tls() {
    let host = Host::with_pool(&["--standalone", "--password", "xensource"]);
    let uuid = format!("uuid={}", host.xe(&["host-list", "--minimal"]));
    host.xe(&["host-param-set", &uuid, "name-label=localhost"]);
    let serving = host.serve_tls("localhost");
    let file = host.path("password").display().to_string();
    fs::write(&file, "root\nxensource\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut host = host.set("XE_SERVER", "HOST").set("XE_PASSWORD_FILE", &file);
    for (port, fingerprint, why) in [
        ("x", serving.fingerprint.as_str(), "MEND  settings: XAPI_PORT is no port"),
        (&serving.port.to_string(), "12", "MEND  settings: XAPI_FINGERPRINT"),
        (
            &serving.port.to_string(),
            "",
            "note  metrics: cannot ask https://localhost: its certificate cannot be checked",
        ),
        (&serving.port.to_string(), &serving.fingerprint, "ok    metrics: XAPI answers on https://localhost"),
    ] {
        host = host.set("XAPI_PORT", port).set("XAPI_FINGERPRINT", fingerprint);
        let said = doctor(&host, &["localhost"]);
        assert!(said.stdout.contains(why), "no {why:?}: {said:#?}");
    }
}

#[test]
fn unknown_settings_are_all_named_and_the_rest_is_looked_at() {
    let (host, _socket) = healthy(&[]);
    let folder = host.path("remotes/etc/vmm/xcp");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("xcprc"), "# settings\nXE_TIMOUT=5\nXE=xe\nexport COLOUR=red\n").unwrap();
    fs::remove_file(host.path("remotes/vmm/xcp/one-xcp")).unwrap();
    fs::copy(PROGRAM, host.path("remotes/vmm/xcp/one-xcp")).unwrap();
    let program = host.path("remotes/vmm/xcp/one-xcp");
    let said = crate::common::said(host.command(&program).args(["doctor", "xcp-a"]), b"");
    let file = folder.join("xcprc").display().to_string();
    for (line, name) in [(2, "XE_TIMOUT"), (4, "COLOUR")] {
        must_mend(
            &said,
            &format!(
                "settings: {file} line {line}: there is no setting {name}: correct or remove it: every action fails on it"
            ),
        );
    }
    assert!(said.stdout.contains("ok    remotes: ") && said.stdout.contains("ok    login: "), "{said:?}");
}

#[test]
fn networks_that_do_not_reach_all_hosts_are_named() {
    let (host, _socket) = healthy(&[]);
    let b = host.xe(&["host-list", "name-label=xcp-b", "--minimal"]);
    let network = host.xe(&["network-list", "bridge=xenbr1", "--minimal"]);
    let name = host.xe(&["network-list", "bridge=xenbr1", "params=name-label", "--minimal"]);
    let pif =
        host.xe(&["pif-list", &format!("host-uuid={b}"), &format!("network-uuid={network}"), "--minimal"]);
    host.xe(&["pif-unplug", &format!("uuid={pif}")]);
    must_mend(
        &doctor(&host, &["xcp-a"]),
        &format!("networks: xenbr1 ({name}) is unplugged on xcp-b: xe pif-plug uuid={pif}"),
    );
    host.xe(&["pif-plug", &format!("uuid={pif}")]);
    let vlan = host.xe(&["network-create", "name-label=twice"]);
    let (of, on) = (format!("pif-uuid={pif}"), format!("network-uuid={vlan}"));
    host.xe(&["vlan-create", &of, &on, "vlan=5"]);
    let bridge = host.xe(&["network-list", &format!("uuid={vlan}"), "params=bridge", "--minimal"]);
    notes(
        doctor(&host, &["xcp-a"]),
        &format!(
            "networks: {bridge} (twice) does not reach xcp-a: VMs on it cannot start there nor migrate to it"
        ),
    );
    host.xe(&["network-create", "name-label=twice"]);
    notes(
        doctor(&host, &["xcp-a"]),
        "networks: several have the name \"twice\": in OpenNebula's BRIDGE name them by bridge or uuid",
    );
}

#[test]
fn hosts_that_are_disabled_or_called_otherwise_are_named() {
    let (host, _socket) = healthy(&[]);
    let b = host.xe(&["host-list", "name-label=xcp-b", "--minimal"]);
    host.xe(&["host-disable", &format!("uuid={b}")]);
    let said = doctor(&host, &["xcp-c"]);
    must_mend(&said, &format!("hosts: xcp-b is disabled: no VM starts there: xe host-enable uuid={b}"));
    let told = "MEND  host: no host of the pool goes by the name \"xcp-c\"; it has xcp-a (";
    assert!(said.stdout.contains(told), "{said:?}");
}

#[test]
fn clocks_that_differ_are_found() {
    let (host, _socket) = healthy(&[]);
    let a = host.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    host.xe(&["host-param-set", &format!("uuid={a}"), "other-config:agent_start_time=9000000000."]);
    let said = doctor(&host, &["xcp-a"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("MEND  clock: xcp-a is at least "), "{said:?}");
    assert!(said.stdout.contains("let all hosts and the front-end keep time by NTP (chronyc sources)"));
    host.xe(&["host-param-set", &format!("uuid={a}"), "other-config:agent_start_time=1700000000."]);
    script(&host, "bin/timedatectl", "echo 'NTP synchronized: no'");
    notes(
        doctor(&host, &["xcp-a"]),
        "clock: it is not kept by NTP: XAPI's figures and OpenNebula's times drift apart: start chronyd",
    );
}

#[test]
fn guests_without_tools_are_named() {
    let (host, _socket) = healthy(&["--vms", "7", "--no-tools"]);
    notes(
        doctor(&host, &["xcp-a"]),
        "guest tools: VM 1, VM 2, VM 3, VM 4, VM 5 and 2 more have none: shutdown pulls the plug, and they cannot migrate \
         live: install them in the guests (xe-guest-utilities)",
    );
}

#[test]
fn scripts_that_are_missing_are_named() {
    let (host, _socket) = healthy(&[]);
    fs::remove_file(host.path("remotes/vmm/xcp/shutdown")).unwrap();
    fs::remove_file(host.path("remotes/vmm/xcp/poll")).unwrap();
    fs::write(host.path("remotes/vmm/xcp/poll"), "").unwrap();
    let said = doctor(&host, &["xcp-a"]);
    must_mend(
        &said,
        "remotes: remotes lacks vmm/xcp/shutdown: on the front-end run install.sh again, then onehost sync --force",
    );
    must_mend(
        &said,
        "remotes: in remotes cannot be executed: vmm/xcp/poll: on the front-end run install.sh again, then onehost sync \
         --force",
    );
    fs::remove_file(host.path("remotes/vmm/xcp/one-xcp")).unwrap();
    script(&host, "remotes/vmm/xcp/one-xcp", "echo one-xcp 0.0.1");
    let said = doctor(&host, &["xcp-a"]);
    assert!(said.stdout.contains("note  remotes: remotes/vmm/xcp/one-xcp is \"one-xcp 0.0.1\""), "{said:?}");
}

#[test]
fn without_the_socket_the_missing_figures_are_noted() {
    let (host, _socket) = healthy(&[]);
    let host = host.set("XAPI_SOCKET", "/nowhere/xapi");
    let shown = doctor(&host, &["xcp-a"]).ok();
    assert!(shown.contains("note  metrics: cannot reach XAPI on /nowhere/xapi: "), "{shown}");
}

/// A front-end has no xe: the way to the host and back is tried, and the host's own doctor asked.
#[test]
fn on_a_front_end_the_way_to_the_host_is_looked_at() {
    let (host, _socket) = healthy(&[]);
    fs::remove_file(host.path("bin/xe")).unwrap();
    script(&host, "bin/id", "echo 0");
    let shown = doctor(&host, &["xcp-b"]).ok();
    assert!(shown.contains("ok    ssh: xcp-b lets this user in as "), "{shown}");
    assert!(shown.contains("ok    ssh: xcp-b reaches "), "{shown}");
    assert!(
        shown.contains("note  drivers: xcp-b has no /var/tmp/one/vmm/xcp/one-xcp: OpenNebula copies them"),
        "{shown}"
    );
    fs::write(host.path("ssh.down"), "xcp-b\n").unwrap();
    let said = doctor(&host, &["xcp-b"]);
    must_mend(
        &said,
        "ssh: cannot log in to xcp-b: ssh: connect to host xcp-b port 22: No route to host: see whether xcp-b is up and \
         takes ssh",
    );
    assert!(!said.stdout.contains("  drivers: "), "{said:?}");
}

/// Puts a program before the tests' ssh that answers some commands itself.
fn ssh_first(host: &Host, cases: &str) {
    fs::rename(host.path("bin/ssh"), host.path("bin/ssh.rest")).unwrap();
    script(host, "bin/ssh", &format!("case \"$*\" in {cases} esac; exec \"$0.rest\" \"$@\""));
}

#[test]
fn on_a_front_end_the_host_plays_the_life() {
    let (host, _socket) = healthy(&[]);
    fs::remove_file(host.path("bin/xe")).unwrap();
    script(&host, "bin/id", "echo 0");
    ssh_first(
        &host,
        "*one-xcp\\ doctor*--json*) printf '[\\n{\"step\":\"deploy\"},\\n{\"step\":\"poll\"}\\n]\\n'; exit;; \
         *one-xcp\\ doctor*) echo \"$*\" >asked; echo 'ok    deploy 3.1 s'; \
         echo 'doctor: steps that failed: migrate.' >&2; exit 1;;",
    );
    let said = doctor(&host, &["xcp-b", "--try", "--report", "r.txt"]);
    must_mend(
        &said,
        "drivers: xcp-b: doctor: steps that failed: migrate: see above; on the host: /var/tmp/one/vmm/xcp/one-xcp doctor",
    );
    assert!(said.stdout.contains("ok    deploy 3.1 s\n"), "{said:?}");
    let asked = fs::read_to_string(host.path("asked")).unwrap();
    assert!(
        asked.trim_end().ends_with("exec /var/tmp/one/vmm/xcp/one-xcp doctor '--try' 'xcp-b'"),
        "{asked}"
    );
    let report = fs::read_to_string(host.path("r.txt")).unwrap();
    assert!(report.contains("doctor --try --report FILE"), "{report}");
    let json = doctor(&host, &["xcp-b", "--json"]).ok();
    assert!(json.starts_with("[\n{\"step\":\"deploy\"},\n{\"step\":\"poll\"},\n{\"level\":\"ok\""), "{json}");
    assert!(json.trim_end().ends_with("}\n]"), "{json}");
}

#[test]
fn each_failure_of_ssh_has_its_own_advice() {
    let (host, _socket) = healthy(&[]);
    fs::write(host.path("inventory"), "INSTALLATION_UUID='89c60553-f1f8-4532-80aa-ff22001da75e'\n").unwrap();
    let inventory = host.path("inventory").display().to_string();
    let host = host.set("XENSOURCE_INVENTORY", &inventory);
    ssh_first(
        &host,
        "*xcp-a\\ true) echo 'Host key verification failed.' >&2; exit 255;; \
         *xcp-b\\ true) echo \"Warning: Permanently added 'xcp-b' (ED25519) to the list of known hosts.\" >&2; \
         echo 'ssh: Could not resolve hostname xcp-b: Name or service not known' >&2; exit 255;;",
    );
    let shown = doctor(&host, &["xcp-a"]).ok();
    let needed = "file datastores of ssh and local need it for migration, stop and undeploy";
    for line in [
        format!(
            "this host does not reach xcp-a: Host key verification failed: {needed}: as root here: ssh-keyscan xcp-a \
             >>~/.ssh/known_hosts"
        ),
        format!(
            "this host does not reach xcp-b: ssh: Could not resolve hostname xcp-b: Name or service not known: {needed}: as \
             root here: put xcp-b into /etc/hosts, or give it a HostName in ~/.ssh/config"
        ),
    ] {
        assert!(shown.lines().any(|shown| shown == format!("note  ssh: {line}")), "no {line:?}: {shown}");
    }
}

#[test]
fn without_xe_and_without_a_host_a_front_end_is_told_to_name_one() {
    let (host, _socket) = healthy(&[]);
    fs::remove_file(host.path("bin/xe")).unwrap();
    let said = doctor(&host, &[]);
    let line = "note  host: this machine is not a pool's dom0: on a front-end whose drivers run on the hosts, name one: \
                one-xcp doctor HOST";
    assert!(said.stdout.lines().any(|shown| shown == line), "{said:?}");
}

#[test]
fn a_host_says_which_others_it_does_not_reach() {
    let (host, _socket) = healthy(&[]);
    fs::write(host.path("inventory"), "INSTALLATION_UUID='89c60553-f1f8-4532-80aa-ff22001da75e'\n").unwrap();
    let inventory = host.path("inventory").display().to_string();
    fs::write(host.path("ssh.down"), "xcp-b\n").unwrap();
    let shown = doctor(&host.set("XENSOURCE_INVENTORY", &inventory), &["xcp-a"]).ok();
    assert!(shown.contains("ok    ssh: this host reaches xcp-a\n"), "{shown}");
    let line = shown.lines().find(|line| line.starts_with("note  ssh: ")).unwrap();
    assert!(
        line.contains("does not reach xcp-b: ssh: connect to host xcp-b") && line.contains("xcp-b is up"),
        "{line}"
    );
    assert!(shown.contains("qemu-img: "), "{shown}");
}
