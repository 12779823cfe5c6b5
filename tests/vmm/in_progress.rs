//! What goes on in XAPI when the `xe` that asked for it is killed, at its time limit or with its driver.
use crate::common::steps::signal;
use crate::common::{Host, Recorded, feed};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TERMINATE: &str = "shutdown.3";
const POWEROFF_HARD: &str = "cancel";

/// The names of the pool's tasks.
fn tasks(host: &Host) -> String {
    host.xe(&["task-list", "params=name-label", "--minimal"])
}

fn operations(host: &Host, uuid: &str) -> String {
    host.vm_param(uuid, "current-operations")
}

#[track_caller]
fn wait_until(host: &Host, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}; there were {:#?}", host.calls());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts an action on the VM and does not wait for it.
fn begin(host: &Host, action: &str, recorded: &str, args: &[&str]) -> Child {
    let (mut command, stdin) = host.action(action, args, &Recorded::load(recorded).stdin);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    feed(&mut child, &stdin);
    child
}

/// A VM whose guest never powers itself off.
fn hanging_guest(host: &Host) -> String {
    let uuid = host.deploy().ok();
    host.sim(&["guest", &uuid, "tools=hang"]);
    uuid
}

fn begin_shutdown(host: &Host, uuid: &str) -> Child {
    let child = begin(host, "shutdown", TERMINATE, &[uuid, "xcp-a", "1", "xcp-a"]);
    wait_until(host, "nobody asks the guest", || operations(host, uuid) == "clean_shutdown");
    child
}

fn kill(mut child: Child) {
    signal(&child, "-KILL");
    child.wait().unwrap();
}

fn is_free(host: &Host, uuid: &str) {
    assert_eq!((operations(host, uuid), tasks(host)), (String::new(), String::new()));
    assert_eq!(host.vm_param(uuid, "power-state"), "running");
    host.on_vm("attach_nic", "attach_nic", uuid).ok();
}

#[test]
fn what_a_killed_deployment_asked_for_is_waited_for_and_cleared_away() {
    let host = Host::new();
    let before = host.dump();
    host.sim(&["delay", "vdi-create", "2500", "--task"]);
    let file = host.vm_folder(0, 1).join("deployment.0");
    let child = begin(&host, "deploy", "deploy", &[file.to_str().unwrap(), "xcp-a", "1", "xcp-a"]);
    wait_until(&host, "no VDI is made", || tasks(&host) == "VDI.create");
    host.sim(&["clear"]);
    kill(child);
    let said = host.deploy();
    assert!(
        said.stderr.contains("XAPI is still at work for an action that ended early (VDI.create "),
        "{said:?}"
    );
    let uuid = said.ok();
    let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    for disk in 0..3 {
        assert_eq!(names.matches(&format!("one-1-disk-{disk}")).count(), 1, "{names}");
    }
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_creation_that_takes_longer_than_xe_may_is_waited_for_and_taken_back() {
    let host = Host::new().set("XE_TIMEOUT", "1");
    let before = host.dump();
    host.sim(&["delay", "vdi-create", "2500", "--task"]);
    assert!(host.deploy().failure().contains("did not end within 1 s"));
    host.is_as(&before);
}

#[test]
fn the_action_after_a_killed_save_sees_the_vm_suspended() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["delay", "vm-suspend", "1500", "--task"]);
    let checkpoint = host.vm_folder(0, 1).join("checkpoint");
    let child = begin(&host, "save", "save", &[&uuid, checkpoint.to_str().unwrap(), "xcp-a", "1", "xcp-a"]);
    wait_until(&host, "it is not suspended", || operations(&host, &uuid) == "suspend");
    kill(child);
    let line = host.on_vm("reboot", "reboot", &uuid).failure();
    assert!(line.contains("is suspended"), "{line}");
}

#[test]
fn a_guest_that_did_not_power_off_in_time_is_asked_no_longer() {
    let host = Host::new().set("SHUTDOWN_TIMEOUT", "1");
    let uuid = hanging_guest(&host);
    for (action, recorded) in [("shutdown", TERMINATE), ("reboot", "reboot")] {
        let line = host.on_vm(action, recorded, &uuid).failure();
        assert!(line.contains("within 1 s"), "{line}");
        assert_eq!((operations(&host, &uuid), tasks(&host)), (String::new(), String::new()), "{action}");
    }
    is_free(&host, &uuid);
}

#[test]
fn what_cannot_be_told_apart_goes_on_and_is_named() {
    let host = Host::new().set("SHUTDOWN_TIMEOUT", "1");
    let uuid = hanging_guest(&host);
    let other = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    host.sim(&["guest", &other, "tools=hang"]);
    let mut asked =
        host.command(host.path("bin/xe")).args(["vm-shutdown", &format!("uuid={other}")]).spawn().unwrap();
    wait_until(&host, "nobody asks the other", || operations(&host, &other) == "clean_shutdown");
    let said = host.on_vm("shutdown", TERMINATE, &uuid);
    assert!(
        said.stderr.contains("XAPI still waits for the guest of VM")
            && said.stderr.contains("xe task-cancel"),
        "{said:?}"
    );
    said.failure();
    assert_eq!(operations(&host, &other), "clean_shutdown", "it is somebody else's");
    host.on_vm("cancel", POWEROFF_HARD, &uuid).ok();
    assert_eq!(operations(&host, &other), "clean_shutdown");
    host.xe(&["vm-shutdown", &format!("uuid={other}"), "force=true"]);
    assert!(!asked.wait().unwrap().success());
}

#[test]
fn a_killed_shutdown_keeps_the_next_action_from_nothing() {
    let host = Host::new();
    let uuid = hanging_guest(&host);
    kill(begin_shutdown(&host, &uuid));
    assert_eq!(operations(&host, &uuid), "clean_shutdown", "XAPI goes on");
    let said = host.on_vm("detach_nic", "detach_nic", &uuid);
    assert!(said.stderr.contains("XAPI no longer waits for the guest"), "{said:?}");
    is_free(&host, &uuid);
}

#[test]
fn a_shutdown_that_is_told_to_stop_stops_asking_the_guest() {
    let host = Host::new();
    let uuid = hanging_guest(&host);
    let child = begin_shutdown(&host, &uuid);
    signal(&child, "-TERM");
    let said = crate::common::Said::of(&child.wait_with_output().unwrap());
    assert!(said.failure().contains("stopped by a signal"));
    is_free(&host, &uuid);
}

#[test]
fn a_hard_action_ends_one_that_waits_for_its_guest() {
    for (action, recorded) in [("cancel", "cancel.2"), ("cancel", POWEROFF_HARD), ("reset", "reset")] {
        let host = Host::new();
        let uuid = hanging_guest(&host);
        let soft = begin_shutdown(&host, &uuid);
        let start = Instant::now();
        let said = host.on_vm(action, recorded, &uuid);
        assert!(start.elapsed() < Duration::from_secs(60), "{said:?}");
        assert!(said.stderr.contains("waits for its guest: it is told to stop"), "{said:?}");
        said.ok();
        let soft = crate::common::Said::of(&soft.wait_with_output().unwrap());
        assert!(soft.failure().contains("stopped by a signal"));
        assert_eq!(tasks(&host), "");
        let left = host.xe(&["vm-list", &format!("uuid={uuid}"), "params=power-state", "--minimal"]);
        assert_eq!(left, if action == "reset" { "running" } else { "" }, "{action} {recorded}");
    }
}

#[test]
fn a_hard_action_on_another_vm_of_the_same_number_ends_nothing() {
    let host = Host::new().set("SHUTDOWN_TIMEOUT", "3").set("XE_TRANSFER_TIMEOUT", "20");
    let uuid = hanging_guest(&host);
    let soft = begin_shutdown(&host, &uuid);
    let other = "00000000-0000-4000-8000-000000000001";
    let line = host.on_vm("reset", "reset", other).failure();
    assert!(line.contains("the pool has no VM"), "{line}");
    let soft = crate::common::Said::of(&soft.wait_with_output().unwrap());
    assert!(soft.failure().contains("the guest did not power off within 3 s"));
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
}
