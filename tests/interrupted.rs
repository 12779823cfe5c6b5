//! Drivers that are told to stop, or killed, in the middle of an action.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Host, Recorded};
use std::io::Write;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Starts the recorded deployment and does not wait for it.
fn begin_deploy(host: &Host) -> Child {
    let recorded = Recorded::load("deploy");
    let file = host.vm_folder(0, 1).join("deployment.0");
    let mut command = host.command(host.path("remotes/vmm/xcp/deploy"));
    command.arg(file).args(["xcp-a", "1", "xcp-a"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&recorded.stdin).unwrap();
    child
}

/// Waits until the `xe` log, which has a line for each call that has ended, is that long.
fn wait_for_calls(host: &Host, count: usize) {
    let end = Instant::now() + Duration::from_secs(20);
    while host.calls().len() < count {
        assert!(Instant::now() < end, "only {} calls", host.calls().len());
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn sigterm_at_any_step_leaves_the_pool_as_it_was() {
    for calls in [0, 4, 6, 9, 12, 15, 18, 20] {
        let host = Host::new();
        let before = host.dump();
        host.sim(&["delay", "any", "30"]);
        host.forget_calls();
        let child = begin_deploy(&host);
        wait_for_calls(&host, calls);
        signal(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        host.sim(&["clear"]);
        if output.status.success() {
            // It came too late to stop anything: then the VM runs.
            let uuid = String::from_utf8(output.stdout).unwrap();
            assert_eq!(host.vm_param(uuid.trim(), "power-state"), "running");
            continue;
        }
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        // Before its first call it may not have begun to watch for signals, and just dies.
        let died_at_once = calls == 0 && output.status.code().is_none();
        assert!(died_at_once || line.contains("stopped by a signal"), "after {calls} calls: {line}");
        assert_eq!(host.dump(), before, "after {calls} calls");
    }
}

#[test]
fn what_a_killed_driver_leaves_the_next_deployment_clears() {
    for calls in [5, 7, 9, 11, 13, 15, 17, 19, 20, 21] {
        let host = Host::new();
        host.sim(&["delay", "any", "30"]);
        host.forget_calls();
        let mut child = begin_deploy(&host);
        wait_for_calls(&host, calls);
        signal(&child, "-KILL");
        child.wait().unwrap();
        host.sim(&["clear"]);
        // Calls that were under way end by themselves, as on a real pool.
        thread::sleep(Duration::from_millis(300));
        let uuid = host.deploy().ok();
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), uuid, "after {calls} calls");
        let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
        for disk in 0..3 {
            assert_eq!(
                names.matches(&format!("one-1-disk-{disk}")).count(),
                1,
                "after {calls} calls: {names}"
            );
        }
        host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    }
}

#[test]
fn a_vm_that_was_made_and_not_yet_marked_is_cleared_too() {
    let host = Host::new();
    host.sim(&["hang", "vm-param-set"]);
    host.forget_calls();
    let mut child = begin_deploy(&host);
    wait_for_calls(&host, 5);
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert_ne!(host.xe(&["vm-list", "name-label=one-1-being-made", "--minimal"]), "");
    let uuid = host.deploy().ok();
    assert_eq!(host.xe(&["vm-list", "name-label=one-1-being-made", "--minimal"]), "");
    assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), uuid);
}

#[test]
fn an_xe_that_hangs_is_killed_and_the_pool_is_as_it_was() {
    for verb in ["host-list", "vm-install", "vdi-create", "vdi-import", "vbd-create", "vm-memory-limits-set"]
    {
        let host = Host::new().set("XE_TIMEOUT", "1").set("XE_TRANSFER_TIMEOUT", "1");
        let before = host.dump();
        host.sim(&["hang", verb]);
        let line = host.deploy().failure();
        assert!(line.contains("did not end within 1 s"), "{verb}: {line}");
        assert_eq!(host.dump(), before, "{verb}");
    }
}

#[test]
fn garbage_from_xe_is_no_answer() {
    for verb in ["vm-list", "host-list", "vm-install", "vdi-create"] {
        let host = Host::new();
        let before = host.dump();
        host.sim(&["fail", verb, "--garbage"]);
        let said = host.deploy();
        let shown = format!("{verb}: {said:#?}");
        if said.code == Some(0) {
            continue;
        }
        said.failure();
        if verb.ends_with("-list") {
            assert_eq!(host.dump(), before, "{shown}");
        }
    }
}
