//! The simulated pool through the real binary: what `xe` prints, what calls change, how faults strike.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Pool {
    folder: TempDir,
}

/// What a call gave: exit status, standard output, standard error.
type Said = (i32, String, String);

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

impl Pool {
    fn new(options: &[&str]) -> Self {
        let pool = Self { folder: TempDir::new().unwrap() };
        let (status, _, stderr) = pool.sim(&[&["init"], options].concat());
        assert_eq!((status, stderr.as_str()), (0, ""));
        pool
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_one-xcp"));
        command.args(args).env_clear().env("XE_SIM", self.state()).stdin(Stdio::null());
        command
    }

    fn sim(&self, args: &[&str]) -> Said {
        said(&self.command(&[&["sim"], args].concat()).output().unwrap())
    }

    fn try_xe(&self, args: &[&str]) -> Said {
        said(&self.command(&[&["xe"], args].concat()).output().unwrap())
    }

    /// A call that must succeed; what it printed, without the last line break.
    fn xe(&self, args: &[&str]) -> String {
        let (status, stdout, stderr) = self.try_xe(args);
        assert_eq!((status, stderr.as_str()), (0, ""), "{args:?}");
        stdout.trim_end_matches('\n').to_owned()
    }

    /// A call that must fail; the code it failed with.
    fn refusal(&self, args: &[&str]) -> String {
        let (status, _, stderr) = self.try_xe(&[args, &["--trace"]].concat());
        assert_eq!(status, 1, "{args:?} {stderr}");
        let raised = stderr.lines().find_map(|line| line.strip_prefix("Raised Server_error("));
        raised.and_then(|raised| raised.split(',').next()).unwrap_or(&stderr).to_owned()
    }

    fn debian(&self, name: &str) -> String {
        self.xe(&["vm-install", "template=Debian Bookworm 12", &format!("new-name-label={name}")])
    }

    fn get(&self, class: &str, uuid: &str, field: &str) -> String {
        let verb = format!("{class}-param-get");
        self.xe(&[&verb, &format!("uuid={uuid}"), &format!("param-name={field}")])
    }

    fn dump(&self) -> String {
        self.sim(&["dump"]).1
    }
}

fn uuid(of: &str) -> String {
    format!("uuid={of}")
}

#[test]
fn a_record_is_printed_as_xe_prints_it() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    let (_, stdout, _) = pool.try_xe(&["vm-list", &uuid(&vm)]);
    assert_eq!(
        stdout,
        format!(
            "uuid ( RO)           : {vm}\n     name-label ( RW): one-1\n    power-state ( RO): halted\n\n\n"
        )
    );
    assert_eq!(pool.try_xe(&["vm-list", "name-label=nosuch"]), (0, String::new(), String::new()));
    assert_eq!(pool.try_xe(&["vm-list", "name-label=nosuch", "--minimal"]).1, "\n");
    assert_eq!(pool.try_xe(&["vm-list", "nosuch=1"]).2, "Error: Unknown field 'nosuch'\n");
    assert_eq!(pool.xe(&["vm-list", "name-label=one-1", "params=power-state", "--minimal"]), "halted");
    assert_eq!(
        pool.xe(&["vm-list", "HVM-boot-params:firmware=uefi", "is-control-domain=false", "--minimal"]),
        vm
    );
}

#[test]
fn every_pool_is_the_same() {
    let (one, other) = (Pool::new(&[]), Pool::new(&[]));
    one.debian("one-1");
    other.debian("one-1");
    assert_eq!(one.dump(), other.dump());
}

#[test]
fn parameters_are_set_checked_and_cleared() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    pool.xe(&["vm-param-set", &vm, "VCPUs-max=4", "VCPUs-at-startup=2", "other-config:one_vm_id=1"]);
    assert_eq!(pool.xe(&["vm-list", "other-config:one_vm_id=1", "params=VCPUs-max", "--minimal"]), "4");
    assert_eq!(pool.refusal(&["vm-param-set", &vm, "VCPUs-at-startup=9"]), "INVALID_VALUE");
    let (_, _, stderr) = pool.try_xe(&["vm-param-set", &vm, "power-state=running"]);
    assert_eq!(stderr, "Error: Field 'power-state' is read-only.\n");
    let (_, _, stderr) = pool.try_xe(&["vm-param-set", &vm, "platform=x"]);
    assert_eq!(stderr, "Error: Field 'platform' is a map or set. use the 'name:key=value' syntax.\n");
    let (_, _, stderr) = pool.try_xe(&["vm-param-get", &vm, "param-name=nosuch"]);
    assert_eq!(stderr, "Error code: Missing parameter\nError parameters: nosuch\n");
    let add = ["vm-param-add", &vm, "param-name=other-config", "k=v"];
    pool.xe(&add);
    assert_eq!(pool.refusal(&add), "MAP_DUPLICATE_KEY");
    pool.xe(&["vm-param-remove", &vm, "param-name=other-config", "param-key=k"]);
    let (_, _, stderr) = pool.try_xe(&["vm-param-remove", &vm, "param-name=other-config", "param-key=k"]);
    assert_eq!(stderr, "Error: Key k is not in map\n");
    // A failure midway leaves what was set before.
    pool.try_xe(&["vm-param-set", &vm, "name-label=renamed", "nosuch=1"]);
    assert_eq!(pool.xe(&["vm-list", &vm, "params=name-label", "--minimal"]), "renamed");
}

#[test]
fn a_vm_goes_through_its_states() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    let which = uuid(&vm);
    pool.xe(&["vm-start", &which, "on=xcp-a"]);
    assert_eq!(pool.refusal(&["vm-start", &which]), "VM_BAD_POWER_STATE");
    assert_eq!(pool.refusal(&["vm-destroy", &which]), "VM_BAD_POWER_STATE");
    let host = pool.xe(&["host-list", "name-label=xcp-b", "--minimal"]);
    pool.xe(&["vm-migrate", &which, "host=xcp-b", "live=true"]);
    assert_eq!(pool.get("vm", &vm, "resident-on"), host);
    pool.xe(&["vm-suspend", &which]);
    assert_eq!(pool.get("vm", &vm, "power-state"), "suspended");
    pool.xe(&["vm-resume", &which, "on=xcp-a"]);
    pool.xe(&["vm-shutdown", &which]);
    assert_eq!(pool.get("vm", &vm, "power-state"), "halted");
    assert_eq!(pool.xe(&["console-list", &format!("vm-uuid={vm}"), "--minimal"]), "");
    pool.xe(&["vm-destroy", &which]);
    assert_eq!(pool.refusal(&["vm-param-list", &which]), "UUID_INVALID");
}

#[test]
fn a_guest_without_drivers_does_not_listen() {
    let pool = Pool::new(&["--no-tools"]);
    let vm = uuid(&pool.debian("one-1"));
    pool.xe(&["vm-start", &vm]);
    for verb in ["vm-shutdown", "vm-reboot", "vm-suspend"] {
        assert_eq!(pool.refusal(&[verb, &vm]), "VM_LACKS_FEATURE");
    }
    assert_eq!(pool.refusal(&["vm-migrate", &vm, "host=xcp-b"]), "VM_LACKS_FEATURE");
    pool.xe(&["vm-shutdown", &vm, "force=true"]);
}

#[test]
fn a_vm_too_large_finds_no_host() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    pool.xe(&[
        "vm-memory-limits-set",
        &vm,
        "static-min=64GiB",
        "dynamic-min=64GiB",
        "dynamic-max=64GiB",
        "static-max=64GiB",
    ]);
    let (status, stdout, stderr) = pool.try_xe(&["vm-start", &vm]);
    assert_eq!(status, 1);
    assert!(stdout.starts_with("There are no suitable hosts to start this VM on.\n"), "{stdout}");
    assert!(stdout.contains("xcp-a: Cannot start here [Not enough free memory]"), "{stdout}");
    assert_eq!(stderr, "There were no servers available to complete the specified operation.\n");
    let (_, _, stderr) = pool.try_xe(&["vm-start", &vm, "on=xcp-a"]);
    assert_eq!(
        stderr,
        "Not enough server memory is available to perform this operation.\n\
         needed: 69259493376\navailable: 15012462592\n"
    );
    pool.xe(&["host-disable", "host=xcp-b"]);
    assert_eq!(pool.refusal(&["vm-start", &vm, "on=xcp-b"]), "HOST_DISABLED");
}

#[test]
fn disks_are_attached_shared_and_destroyed_by_the_rules() {
    let pool = Pool::new(&[]);
    let (vm, other) = (pool.debian("one-1"), pool.debian("one-2"));
    let sr = pool.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = pool.xe(&[
        "vdi-create",
        &format!("sr-uuid={sr}"),
        "name-label=d",
        "virtual-size=8MiB",
        "other-config:ignored=1",
        "tags:seen=",
    ]);
    assert_eq!(pool.get("vdi", &vdi, "other-config"), "");
    assert_eq!(pool.get("vdi", &vdi, "tags"), "seen");
    let on = |vm: &str, device: &str| {
        let args = [format!("vm-uuid={vm}"), format!("vdi-uuid={vdi}"), format!("device={device}")];
        pool.xe(&["vbd-create", &args[0], &args[1], &args[2]])
    };
    let vbd = on(&vm, "1");
    assert_eq!(
        pool.refusal(&["vbd-create", &format!("vm-uuid={vm}"), &format!("vdi-uuid={vdi}"), "device=xvdb"]),
        "DEVICE_ALREADY_EXISTS"
    );
    assert_eq!(pool.refusal(&["vbd-plug", &uuid(&vbd)]), "VM_BAD_POWER_STATE");
    pool.xe(&["vm-start", &uuid(&vm)]);
    assert_eq!(pool.refusal(&["vbd-plug", &uuid(&vbd)]), "DEVICE_ALREADY_ATTACHED");
    on(&other, "1");
    assert_eq!(pool.refusal(&["vm-start", &uuid(&other)]), "VDI_IN_USE");
    assert_eq!(pool.refusal(&["vdi-destroy", &uuid(&vdi)]), "VDI_IN_USE");
    assert_eq!(pool.refusal(&["vbd-destroy", &uuid(&vbd)]), "OPERATION_NOT_ALLOWED");
    pool.xe(&["vbd-unplug", &uuid(&vbd)]);
    assert_eq!(pool.refusal(&["vbd-unplug", &uuid(&vbd)]), "DEVICE_ALREADY_DETACHED");
    pool.xe(&["vbd-destroy", &uuid(&vbd)]);
    pool.xe(&["vdi-destroy", &uuid(&vdi)]);
    let huge = ["vdi-create", &format!("sr-uuid={sr}"), "name-label=d", "virtual-size=5TiB"];
    assert_eq!(pool.refusal(&huge), "SR_BACKEND_FAILURE_79");
}

#[test]
fn a_revert_brings_other_disks() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    pool.xe(&["vm-start", &uuid(&vm)]);
    let disk = || pool.xe(&["vbd-list", &format!("vm-uuid={vm}"), "params=vdi-uuid", "--minimal"]);
    let before = disk();
    let snapshot = pool.xe(&["vm-checkpoint", &uuid(&vm), "new-name-label=s"]);
    pool.xe(&["snapshot-revert", &format!("snapshot-uuid={snapshot}")]);
    assert_ne!(disk(), before);
    assert_eq!(pool.get("vm", &vm, "power-state"), "suspended");
    assert_eq!(pool.get("vm", &vm, "name-label"), "one-1");
    pool.xe(&["vm-resume", &uuid(&vm)]);
    pool.xe(&["snapshot-uninstall", &uuid(&snapshot), "force=true"]);
    assert_eq!(pool.xe(&["snapshot-list", "--minimal"]), "");
    pool.xe(&["vm-uninstall", &uuid(&vm), "force=true"]);
    let fresh = Pool::new(&[]);
    assert_eq!(pool.xe(&["vdi-list", "--minimal"]), fresh.xe(&["vdi-list", "--minimal"]));
}

#[test]
fn bytes_go_in_and_come_out() {
    let pool = Pool::new(&[]);
    let sr = pool.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = pool.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=d", "virtual-size=1MiB"]);
    let file = |name: &str| pool.folder.path().join(name);
    let mut bytes = vec![0; 1 << 20];
    bytes[70_000..70_003].copy_from_slice(b"abc");
    std::fs::write(file("in"), &bytes).unwrap();
    let filename = |name: &str| format!("filename={}", file(name).display());
    pool.xe(&["vdi-import", &uuid(&vdi), &filename("in"), "format=raw"]);
    let copy = pool.xe(&["vdi-copy", &uuid(&vdi), &format!("sr-uuid={sr}")]);
    pool.xe(&["vdi-export", &uuid(&copy), &filename("out"), "format=raw"]);
    assert_eq!(std::fs::read(file("out")).unwrap(), bytes);
    let (status, _, stderr) = pool.try_xe(&["vdi-export", &uuid(&vdi), &filename("out"), "format=raw"]);
    assert_eq!(status, 1);
    assert!(stderr.contains("File exists"), "{stderr}");
    pool.xe(&["vdi-export", &uuid(&vdi), &filename("disk.vhd"), "format=vhd"]);
    let again = pool.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=d", "virtual-size=1MiB"]);
    pool.xe(&["vdi-import", &uuid(&again), &filename("disk.vhd"), "format=vhd"]);
    pool.xe(&["vdi-export", &uuid(&again), &filename("out2"), "format=raw"]);
    assert_eq!(std::fs::read(file("out2")).unwrap(), bytes);
}

#[test]
fn a_server_wants_the_password_and_only_the_coordinator_answers() {
    let pool = Pool::new(&["--password", "geheim"]);
    let at = |server: &str, password: &str| {
        pool.try_xe(&["-s", server, "-u", "root", "-pw", password, "host-list", "--minimal"])
    };
    assert_eq!(at("xcp-a", "geheim").0, 0);
    assert_eq!(at("192.168.10.1", "geheim").0, 0);
    assert_eq!(at("xcp-a", "bad").2, "Authentication failed\nFor usage run: 'xe help'\n");
    assert!(at("xcp-b", "geheim").2.ends_with("Master IP address: 192.168.10.1\n"));
    assert_eq!(
        at("elsewhere", "geheim").2,
        "Unable to contact server. Please check server and port settings.\n"
    );
    assert!(!pool.sim(&["log"]).1.contains("geheim"));
}

#[test]
fn faults_strike_the_call_they_are_set_for() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    pool.sim(&["fail", "vm-start", "--nth", "2", "--code", "HOST_OFFLINE"]);
    pool.xe(&["vm-start", &vm]);
    pool.xe(&["vm-shutdown", &vm]);
    let before = pool.dump();
    assert_eq!(pool.refusal(&["vm-start", &vm]), "HOST_OFFLINE");
    assert_eq!(pool.dump(), before);
    pool.sim(&["fail", "vm-start", "--after", "--code", "INTERNAL_ERROR", "--params", "lost"]);
    assert_eq!(pool.refusal(&["vm-start", &vm]), "INTERNAL_ERROR");
    assert_eq!(pool.xe(&["vm-list", &vm, "params=power-state", "--minimal"]), "running");
    pool.sim(&["fail", "any", "--garbage", "--always"]);
    let (status, stdout, _) = pool.try_xe(&["vm-list", "--minimal"]);
    assert_eq!(status, 0);
    assert!(stdout.contains("not an answer"));
    pool.sim(&["clear"]);
    pool.sim(&["delay", "vm-list", "150"]);
    let start = Instant::now();
    pool.xe(&["vm-list"]);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn an_answer_is_lost_and_the_work_done() {
    let pool = Pool::new(&[]);
    let whole = pool.try_xe(&["host-list", "params=uuid,name-label"]).1;
    for (how, arrives) in [
        ("empty", String::new()),
        ("short", whole[..whole.len() / 2].to_owned()),
        ("cut", whole[..whole.len() / 2 + (whole.len() / 2 - 3) / 2].to_owned()),
    ] {
        pool.sim(&["fail", "host-list", "--answer", how]);
        let said = pool.try_xe(&["host-list", "params=uuid,name-label"]);
        assert_eq!(said, (0, arrives, String::new()), "{how}");
    }
    pool.sim(&["fail", "vm-install", "--answer", "junk"]);
    let installed = pool.try_xe(&["vm-install", "template=Other install media", "new-name-label=new"]);
    assert!(installed.0 == 0 && installed.1.contains("not an answer"), "{installed:?}");
    let vm = pool.xe(&["vm-list", "name-label=new", "--minimal"]);
    assert_eq!(vm.len(), 36);
    // Bytes on their way out end early.
    let sr = pool.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let vdi = pool.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=d", "virtual-size=2MiB"]);
    let export = ["vdi-export", &uuid(&vdi), "filename=", "format=raw"];
    assert_eq!(pool.try_xe(&export).1.len(), 2 << 20);
    pool.sim(&["fail", "vdi-export", "--answer", "cut"]);
    let (status, stdout, _) = pool.try_xe(&export);
    assert_eq!((status, stdout.len()), (0, 1 << 20));
}

#[test]
fn several_calls_fail_one_after_the_other() {
    let pool = Pool::new(&[]);
    pool.sim(&["fail", "vm-list", "--nth", "2", "--times", "2"]);
    let failed: Vec<bool> = (0..4).map(|_| pool.try_xe(&["vm-list"]).0 == 1).collect();
    assert_eq!(failed, [false, true, true, false]);
}

#[test]
fn the_caller_of_a_call_is_killed_before_its_work_or_after_it() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    let state = || pool.xe(&["vm-list", &vm, "params=power-state", "--minimal"]);
    for (options, then) in [(&[][..], "halted"), (&["--after"], "running")] {
        pool.sim(&[&["kill", "vm-start"], options].concat());
        let mut caller = Command::new("sh");
        let call = format!("{} xe vm-start {vm}; true", env!("CARGO_BIN_EXE_one-xcp"));
        caller.args(["-c", &call]).env_clear().env("XE_SIM", pool.state());
        assert_eq!(caller.status().unwrap().code(), None, "{options:?}");
        assert_eq!(state(), then, "{options:?}");
    }
}

#[test]
fn a_call_that_hangs_leaves_the_pool_to_others() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    pool.xe(&["vm-start", &uuid(&vm)]);
    pool.sim(&["hang", "vm-list"]);
    let mut hanging = pool.command(&["xe", "vm-list"]).spawn().unwrap();
    pool.sim(&["guest", "one-1", "tools=hang"]);
    let mut waiting = pool.command(&["xe", "vm-shutdown", &uuid(&vm)]).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(hanging.try_wait().unwrap().is_none());
    assert!(waiting.try_wait().unwrap().is_none());
    // XAPI cancels it (message_forwarding.ml `hard_shutdown`).
    pool.xe(&["vm-shutdown", &uuid(&vm), "force=true"]);
    assert!(!waiting.wait().unwrap().success());
    hanging.kill().unwrap();
    hanging.wait().unwrap();
}

#[test]
fn a_task_goes_on_without_its_client_until_it_is_cancelled() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    pool.xe(&["vm-start", &uuid(&vm)]);
    let operations =
        || pool.xe(&["vm-param-get", &uuid(&vm), "param-name=current-operations"]).trim().to_owned();
    let task = || pool.xe(&["task-list", "status=pending", "params=uuid", "--minimal"]).trim().to_owned();
    pool.sim(&["guest", "one-1", "tools=hang"]);
    let mut client = pool.command(&["xe", "vm-shutdown", &uuid(&vm)]).spawn().unwrap();
    while task().is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    client.kill().unwrap();
    client.wait().unwrap();
    // The task is there before it has begun at the VM.
    while operations() != "clean_shutdown" {
        thread::sleep(Duration::from_millis(10));
    }
    let name = pool.xe(&["task-param-get", &uuid(&task()), "param-name=name-label"]);
    assert_eq!(name.trim(), "Async.VM.clean_shutdown");
    // What the VM does not allow meanwhile waits (helpers.ml `retry`), and devices are refused.
    let mut reboot = pool.command(&["xe", "vm-reboot", &uuid(&vm)]).spawn().unwrap();
    let vif = pool.xe(&["vif-list", &format!("vm-uuid={vm}"), "--minimal"]);
    if let Some(vif) = vif.trim().split(',').next().filter(|vif| !vif.is_empty()) {
        let refused = pool.command(&["xe", "vif-unplug", &uuid(vif)]).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("is clean_shutdown"), "{refused:?}");
    }
    assert!(reboot.try_wait().unwrap().is_none());
    let first = pool.xe(&["task-list", "name-label=Async.VM.clean_shutdown", "--minimal"]);
    pool.xe(&["task-cancel", &uuid(first.trim())]);
    while operations() != "clean_reboot" {
        thread::sleep(Duration::from_millis(10));
    }
    pool.xe(&["task-cancel", &uuid(&task())]);
    assert!(!reboot.wait().unwrap().success());
    assert_eq!((operations(), task()), (String::new(), String::new()));
}

#[test]
fn what_is_started_and_taken_away_leaves_no_trace() {
    let pool = Pool::new(&[]);
    let before = pool.dump();
    let vm = uuid(&pool.debian("one-1"));
    pool.xe(&["vm-start", &vm]);
    pool.xe(&["vm-uninstall", &vm, "force=true"]);
    assert_eq!(pool.dump(), before);
}

/// XAPI's `vm-uninstall` destroys the VM, then one VDI after the other (cli_operations.ml `vm_uninstall_common`).
#[test]
fn an_uninstall_that_fails_at_a_disk_has_destroyed_the_vm_and_the_disks_before() {
    let pool = Pool::new(&[]);
    let (vm, other) = (pool.debian("one-1"), pool.debian("one-2"));
    let first = pool.xe(&["vbd-list", &format!("vm-uuid={vm}"), "params=vdi-uuid", "--minimal"]);
    let sr = pool.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = pool.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=d", "virtual-size=1MiB"]);
    for of in [&vm, &other] {
        let vbd =
            pool.xe(&["vbd-create", &format!("vm-uuid={of}"), &format!("vdi-uuid={vdi}"), "device=254"]);
        pool.xe(&["vbd-param-set", &uuid(&vbd), "other-config:owner="]);
    }
    pool.xe(&["vm-start", &uuid(&other)]);
    assert_eq!(pool.refusal(&["vm-uninstall", &uuid(&vm), "force=true"]), "VDI_IN_USE");
    assert_eq!(pool.xe(&["vm-list", &uuid(&vm), "--minimal"]), "");
    assert_eq!(pool.xe(&["vdi-list", &uuid(&first), "--minimal"]), "");
    assert_eq!(pool.xe(&["vdi-list", &uuid(&vdi), "--minimal"]), vdi);
}

#[test]
fn a_vm_has_255_devices_for_disks() {
    let pool = Pool::new(&[]);
    let vm = pool.debian("one-1");
    let allowed = || pool.get("vm", &vm, "allowed-VBD-devices");
    let has = |device: &str| allowed().split("; ").any(|allowed| allowed == device);
    assert!(has("254") && !has("255"), "{}", allowed());
    let new = |device: &str| {
        let device = format!("device={device}");
        ["vbd-create", &format!("vm-uuid={vm}"), "type=CD", "mode=RO", &device].map(str::to_owned)
    };
    for device in ["sdq", "hdu", "1048576", "xvda1b"] {
        assert_eq!(pool.refusal(&new(device).each_ref().map(String::as_str)), "INVALID_DEVICE", "{device}");
    }
    pool.xe(&new("xvdiu").each_ref().map(String::as_str));
    assert!(!has("xvdiu"));
    assert_eq!(pool.refusal(&new("254").each_ref().map(String::as_str)), "DEVICE_ALREADY_EXISTS");
}

#[test]
fn event_wait_ends_when_the_field_has_the_value() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    let mut waiting =
        pool.command(&["xe", "event-wait", "class=vm", &vm, "power-state=running"]).spawn().unwrap();
    thread::sleep(Duration::from_millis(150));
    assert!(waiting.try_wait().unwrap().is_none());
    pool.xe(&["vm-start", &vm]);
    assert!(waiting.wait().unwrap().success());
    pool.xe(&["event-wait", "class=vm", &vm, "power-state=/=halted"]);
}

#[test]
fn disks_move_with_a_vm_between_local_storage() {
    let pool = Pool::new(&["--password", "geheim"]);
    let host = pool.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    let local = |host: &str| {
        let pbds = pool.xe(&["pbd-list", &format!("host-uuid={host}"), "params=sr-uuid", "--minimal"]);
        let names = ["sr-list", "name-label=Local storage", "--minimal"];
        pool.xe(&names).split(',').find(|sr| pbds.contains(*sr)).unwrap().to_owned()
    };
    let sr = local(&host);
    let install =
        ["vm-install", "template=Debian Bookworm 12", "new-name-label=one-1", &format!("sr-uuid={sr}")];
    let vm = pool.xe(&install);
    assert_eq!(pool.refusal(&["vm-start", &uuid(&vm), "on=xcp-b"]), "VM_REQUIRES_SR");
    pool.xe(&["vm-start", &uuid(&vm), "on=xcp-a"]);
    assert_eq!(pool.refusal(&["vm-migrate", &uuid(&vm), "host=xcp-b", "live=true"]), "VM_REQUIRES_SR");
    let vdi = pool.xe(&["vbd-list", &format!("vm-uuid={vm}"), "params=vdi-uuid", "--minimal"]);
    let target = local(&pool.xe(&["host-list", "name-label=xcp-b", "--minimal"]));
    let motion = format!("vdi:{vdi}={target}");
    let remote = ["remote-master=192.168.10.1", "remote-username=root", "remote-password=geheim"];
    pool.xe(&[&["vm-migrate", &uuid(&vm), "host=xcp-b", "live=true", &motion], &remote[..]].concat());
    let moved = pool.xe(&["vbd-list", &format!("vm-uuid={vm}"), "params=vdi-uuid", "--minimal"]);
    assert_ne!(moved, vdi);
    assert_eq!(pool.get("vdi", &moved, "sr-uuid"), target);
    assert!(!pool.sim(&["log"]).1.contains("geheim"));
}

#[test]
fn no_update_is_lost_when_calls_run_side_by_side() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    thread::scope(|scope| {
        for number in 0..16 {
            let (pool, vm) = (&pool, &vm);
            scope.spawn(move || pool.xe(&["vm-param-set", vm, &format!("other-config:k{number}=v")]));
        }
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| pool.try_xe(&["vm-start", &vm]).0)).collect();
        let ended: Vec<i32> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert_eq!(ended.iter().filter(|&&status| status == 0).count(), 1);
    });
    let config = pool.xe(&["vm-param-get", &vm, "param-name=other-config"]);
    assert!((0..16).all(|number| config.contains(&format!("k{number}: v"))), "{config}");
}

#[test]
fn without_a_pool_there_is_one_clear_error() {
    let folder = TempDir::new().unwrap();
    let run = |state: Option<PathBuf>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_one-xcp"));
        command.args(["xe", "vm-list"]).env_clear();
        if let Some(state) = state {
            command.env("XE_SIM", state);
        }
        said(&command.output().unwrap())
    };
    for said in [run(None), run(Some(folder.path().join("nothing")))] {
        assert_eq!(said.0, 1);
        assert_eq!(said.2.lines().count(), 1, "{}", said.2);
        assert!(said.2.contains("XE_SIM"));
    }
}

#[test]
fn what_xapi_refuses_in_values_is_refused() {
    let pool = Pool::new(&[]);
    let vm = uuid(&pool.debian("one-1"));
    let refused = |args: &[&str]| {
        let said = pool.command(&[&["xe"], args].concat()).output().unwrap();
        assert!(!said.status.success(), "{args:?}");
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let words = refused(&["vm-param-set", &vm, "name-label=a\u{7}b"]);
    assert!(words.starts_with("The value given is invalid\n"), "{words}");
    assert!(words.contains("field: Invalid UTF-8 string in parameter\n"), "{words}");
    let network = pool.xe(&["network-list", "bridge=xenbr0", "--minimal"]);
    let vif = pool.xe(&[
        "vif-create",
        &format!("vm-{vm}"),
        &format!("network-uuid={}", network.trim()),
        "device=0",
    ]);
    let vif = uuid(vif.trim());
    let words = refused(&["vif-param-set", &vif, "ipv4-allowed=nonsense"]);
    assert!(words.starts_with("A required parameter contained an invalid IP address\n"), "{words}");
    assert!(words.contains("parameter: ipv4_allowed\n"), "{words}");
    pool.xe(&["vif-param-set", &vif, "ipv4-allowed=10.0.0.1,10.0.0.2"]);
    pool.xe(&["vm-start", &vm]);
    let words = refused(&["vif-destroy", &vif]);
    assert!(words.contains("VIF currently attached to a running VM"), "{words}");
    let other = uuid(pool.xe(&["vm-install", "template=Other install media", "new-name-label=other"]).trim());
    pool.xe(&["vm-start", &other]);
    let platform = pool.xe(&["vm-param-get", &other, "param-name=platform", "param-key=device-model"]);
    assert_eq!(platform.trim(), "qemu-upstream-compat");
}
