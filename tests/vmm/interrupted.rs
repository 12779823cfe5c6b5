//! Drivers that are told to stop, or killed, in the middle of an action.
use crate::common::steps::{self, Wrong, signal};
use crate::common::{Host, Recorded};
use std::io::Write;
use std::process::{Child, Command, Stdio};
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

/// Waits until a call hangs: the fault is used up then.
fn wait_for_hang(host: &Host) {
    let end = Instant::now() + Duration::from_secs(60);
    while host.path("pool.faults").exists() {
        assert!(Instant::now() < end, "no call hangs; there were {:#?}", host.calls());
        thread::sleep(Duration::from_millis(5));
    }
}

/// The recorded deployment, for running it step by step.
fn deploy(host: &Host) -> (Command, Vec<u8>) {
    let file = host.vm_folder(0, 1).join("deployment.0");
    host.action("deploy", &[file.to_str().unwrap(), "xcp-a", "1", "xcp-a"], &Recorded::load("deploy").stdin)
}

#[test]
fn sigterm_at_each_step_leaves_the_pool_as_it_was() {
    steps::each_call(&Host::new(), &[Wrong::Terminated], &deploy, &|host, step| {
        if step.said.code == Some(0) {
            // It came too late to stop anything: then the VM runs.
            assert_eq!(host.vm_param(step.said.stdout.trim(), "power-state"), "running");
            return;
        }
        assert!(step.said.stderr.contains("stopped by a signal"), "{step:#?}");
        host.is_as_after(&step.before, format_args!("{step:#?}"));
    });
}

#[test]
fn what_a_driver_killed_at_any_step_leaves_the_next_deployment_clears() {
    steps::each_call(&Host::new(), &[Wrong::Killed], &deploy, &|host, step| {
        let uuid = host.deploy().ok();
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), uuid, "{step:#?}");
        let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
        for disk in 0..3 {
            assert_eq!(names.matches(&format!("one-1-disk-{disk}")).count(), 1, "{names} after {step:#?}");
        }
        host.on_vm("shutdown", "shutdown.3", &uuid).ok();
        host.is_as_after(&step.before, format_args!("{step:#?}"));
    });
}

#[test]
fn a_vm_that_was_made_and_not_yet_marked_is_cleared_too() {
    let host = Host::new();
    host.sim(&["hang", "vm-param-set"]);
    let mut child = begin_deploy(&host);
    wait_for_hang(&host);
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
        host.is_as_after(&before, format_args!("{verb}"));
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
            host.is_as_after(&before, format_args!("{shown}"));
        }
    }
}
