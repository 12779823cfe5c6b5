//! Many actions at once, on different VMs and on the same.
use crate::common::{Host, Recorded, Said, one_after_the_other, said};
use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const VMS: std::ops::RangeInclusive<u32> = 10..=29;

/// The recorded document or message, of another VM.
fn of_vm(recorded: &str, vm_id: u32) -> Recorded {
    Recorded::load(recorded).with("<ID>1</ID><UID>", &format!("<ID>{vm_id}</ID><UID>"))
}

fn copy_files(host: &Host, vm_id: u32) {
    let folder = host.vm_folder(0, vm_id);
    fs::create_dir_all(&folder).unwrap();
    for disk in ["disk.0", "disk.1", "disk.2"] {
        fs::copy(host.vm_folder(0, 1).join(disk), folder.join(disk)).unwrap();
    }
}

fn deploy(host: &Host, vm_id: u32) -> Said {
    let file = host.vm_folder(0, vm_id).join("deployment.0");
    let on = if vm_id.is_multiple_of(2) { "xcp-a" } else { "xcp-b" };
    let mut command = host.command(host.path("remotes/vmm/xcp/deploy"));
    command.arg(file).args([on, &vm_id.to_string(), on]);
    said(&mut command, &of_vm("deploy", vm_id).stdin)
}

fn leave(host: &Host, action: &str, message: &str, uuid: &str, vm_id: u32) -> Said {
    let id = vm_id.to_string();
    let mut command = host.command(host.path(&format!("remotes/vmm/xcp/{action}")));
    command.args([uuid, "xcp-a", &id, "xcp-a"]);
    said(&mut command, &of_vm(message, vm_id).stdin)
}

/// Runs `action` for each item at the same time.
fn at_once<T: Sync, R: Send>(items: &[T], action: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let action = &action;
    thread::scope(|scope| {
        let running: Vec<_> = items.iter().map(|item| scope.spawn(move || action(item))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn twenty_vms_come_and_go_at_once() {
    let host = Host::new();
    let before = host.dump();
    let vm_ids: Vec<u32> = VMS.collect();
    for vm_id in VMS {
        copy_files(&host, vm_id);
    }
    let uuids: Vec<String> =
        at_once(&vm_ids, |vm_id| deploy(&host, *vm_id)).into_iter().map(Said::ok).collect();
    for (vm_id, uuid) in vm_ids.iter().zip(&uuids) {
        let name = format!("name-label=one-{vm_id}");
        assert_eq!(&host.xe(&["vm-list", &name, "--minimal"]), uuid);
        let tag = format!("tags:contains=one-vm-{uuid}");
        let mut names: Vec<String> = host
            .xe(&["vdi-list", &tag, "params=name-label", "--minimal"])
            .split(',')
            .map(str::to_owned)
            .collect();
        names.sort();
        let expected: Vec<String> = (0..3).map(|disk| format!("one-{vm_id}-disk-{disk}")).collect();
        assert_eq!(names, expected);
    }
    let pairs: Vec<(u32, String)> = vm_ids.into_iter().zip(uuids).collect();
    for left in at_once(&pairs, |(vm_id, uuid)| leave(&host, "shutdown", "shutdown.3", uuid, *vm_id)) {
        left.ok();
    }
    host.is_as(&before);
}

#[test]
fn no_call_of_several_vms_sleeps_in_xapi_for_an_sr() {
    let host = Host::new();
    let before = host.dump();
    for verb in ["vdi-create", "vdi-destroy", "vm-uninstall"] {
        host.sim(&["delay", verb, "30"]);
    }
    let vm_ids = [10, 11, 12];
    for vm_id in vm_ids {
        copy_files(&host, vm_id);
    }
    let uuids = at_once(&vm_ids, |vm_id| (*vm_id, deploy(&host, *vm_id).ok()));
    for left in at_once(&uuids, |(vm_id, uuid)| leave(&host, "shutdown", "shutdown.3", uuid, *vm_id)) {
        left.ok();
    }
    assert_eq!(host.sim(&["sleeps"]), "");
    host.is_as(&before);
}

#[test]
fn the_same_vm_deployed_twice_at_the_same_moment_runs_once() {
    for _ in 0..5 {
        let host = Host::new();
        let before = host.dump();
        let answers = at_once(&[1, 2], |_| host.deploy());
        let uuids: Vec<String> = answers.into_iter().map(Said::ok).collect();
        assert_eq!(uuids[0], uuids[1]);
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), uuids[0]);
        host.on_vm("shutdown", "shutdown.3", &uuids[0]).ok();
        host.is_as(&before);
    }
}

/// Starts the recorded deployment and waits until it has asked `calls` times.
fn begin_deploy(host: &Host, calls: usize) -> Child {
    host.forget_calls();
    let mut command = host.command(host.path("remotes/vmm/xcp/deploy"));
    command.arg(host.vm_folder(0, 1).join("deployment.0")).args(["xcp-a", "1", "xcp-a"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &Recorded::load("deploy").stdin).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while host.calls().len() < calls {
        assert!(Instant::now() < end, "the deployment does not get on");
        thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_vm_that_is_given_up_while_it_is_being_deployed_is_gone_at_the_end() {
    for calls in [2, 8, 16] {
        let host = Host::new();
        let before = host.dump();
        host.sim(&["delay", "any", "50"]);
        let deploying = begin_deploy(&host, calls);
        let said = host.on_vm("cancel", "shutdown.3", "-");
        let deployed = deploying.wait_with_output().unwrap();
        assert!(deployed.status.success(), "{deployed:?}");
        assert!(
            said.log().iter().any(|line| line.contains("another action on VM 1 is under way")),
            "{said:?}"
        );
        said.ok();
        host.is_as(&before);
    }
}

#[test]
fn a_driver_that_was_killed_stands_in_nobodys_way() {
    let host = Host::new();
    host.sim(&["hang", "vm-start"]);
    let mut killed = begin_deploy(&host, 15);
    killed.kill().unwrap();
    killed.wait().unwrap();
    host.sim(&["clear"]);
    let said = host.deploy();
    assert!(!said.stderr.contains("is under way"), "{said:?}");
    said.ok();
}

#[test]
fn a_driver_that_is_killed_while_it_replaces_a_halted_vm_leaves_the_guests_writes_and_no_dead_end() {
    for calls in [4, 8, 11, 14, 17, 19, 20, 21, 22] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written by the guest");
        host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
        host.sim(&["delay", "any", "30"]);
        let mut killed = begin_deploy(&host, calls);
        killed.kill().unwrap();
        killed.wait().unwrap();
        // Calls that were under way end by themselves, as on a real pool.
        thread::sleep(Duration::from_millis(300));
        host.sim(&["clear"]);
        let again = host.deploy().ok();
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), again, "after {calls} calls");
        let vdi = host.vdi_in(&again, "0");
        assert!(host.vdi_holds(&vdi, 1 << 20, b"written by the guest"), "after {calls} calls");
        host.on_vm("shutdown", "shutdown.3", &again).ok();
        host.is_as(&before);
    }
}

#[test]
fn waiting_for_another_action_has_an_end() {
    let host = Host::new();
    host.sim(&["delay", "vm-start", "5000"]);
    let deploying = begin_deploy(&host, 15);
    let host = host.set("XE_TRANSFER_TIMEOUT", "1");
    let line = host.on_vm("cancel", "cancel", "-").failure();
    assert!(line.contains("another action on VM 1 has not ended within 1 s"), "{line}");
    let deployed = deploying.wait_with_output().unwrap();
    assert!(deployed.status.success(), "{deployed:?}");
}

#[test]
fn no_lock_is_left_and_without_a_place_for_one_the_action_goes_on() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let left = fs::read_dir(host.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.map(|name| name.into_string().unwrap()).all(|name| name.starts_with("sr-")));
    let host = host.set("STATE_DIR", "/no/such/folder/state");
    let said = host.on_vm("shutdown", "shutdown.3", &uuid);
    assert!(said.log().iter().any(|line| line.starts_with("WARN: cannot lock VM 1")), "{said:?}");
    said.ok();
}

#[test]
fn an_administrator_may_have_calls_follow_one_another() {
    let host = Host::new().set("XE_AT_ONCE", "1");
    host.forget_calls();
    host.deploy().ok();
    let calls = host.calls();
    assert_eq!(one_after_the_other(&calls), calls.len(), "{calls:#?}");
    let before = host.dump();
    for wrong in ["0", "-1", "many"] {
        let line = host.copy().set("XE_AT_ONCE", wrong).deploy().failure();
        assert!(line.contains(&format!("XE_AT_ONCE is {wrong:?}")) && line.contains("at least 1"), "{line}");
    }
    host.is_as(&before);
}
