//! What the actions cost: calls of `xe`, in all and one after the other. Each call is made to take 200 ms, so
//! that calls made side by side overlap. The figures stand in docs/cost.md.
use crate::common::data_disk;
use crate::common::recorded_action::RecordedAction;
use crate::common::{Host, Recorded, one_after_the_other};

fn slow_host() -> Host {
    let host = Host::new();
    host.sim(&["delay", "any", "200"]);
    host
}

#[track_caller]
fn at_most(host: &Host, all: usize, in_a_row: usize) {
    let calls = host.calls();
    let chain = one_after_the_other(&calls);
    assert!(calls.len() <= all && chain <= in_a_row, "{} calls, {chain} in a row: {calls:#?}", calls.len());
}

#[test]
fn deploy_of_a_disk_a_swap_disk_a_nic_and_a_context_disc() {
    let host = slow_host();
    host.forget_calls();
    host.deploy().ok();
    at_most(&host, 23, 12);
}

#[test]
fn poll_takes_one_call() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    host.run("poll", &[&uuid, "xcp-a"], b"").ok();
    at_most(&host, 1, 1);
}

#[test]
fn shutdown_of_a_vm_whose_disks_need_no_writing_back() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    // The last is the context disc: vm-uninstall must not take what is in a CD drive.
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    at_most(&host, 5, 4);
}

/// One call for each snapshot, and as many others as for one; also of a VM whose drive an earlier release gave XAPI's
/// `owner`, which the drives of its snapshots have then too.
#[test]
fn cancel_of_a_vm_with_many_snapshots() {
    let calls = |snapshots: usize, is_old: bool| {
        let host = Host::new();
        let uuid = host.deploy().ok();
        if is_old {
            let drive = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]);
            host.xe(&["vbd-param-set", &format!("uuid={drive}"), "other-config:owner="]);
        }
        for number in 0..snapshots {
            let name = format!("new-name-label={number}");
            host.xe(&["vm-snapshot", &format!("uuid={uuid}"), &name]);
        }
        host.forget_calls();
        host.on_vm("cancel", "shutdown.3", &uuid).ok();
        assert_eq!(host.xe(&["snapshot-list", "--minimal"]), "");
        host.calls().len() - snapshots
    };
    for (is_old, at_most) in [(false, 9), (true, 11)] {
        let (one, many) = (calls(1, is_old), calls(8, is_old));
        assert!(
            one == many && one <= at_most,
            "{one} calls beside the one snapshot's, {many} beside those of 8"
        );
    }
}

#[test]
fn live_migration() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    host.on_vm("migrate", "migrate", &uuid).ok();
    at_most(&host, 4, 3);
}

#[test]
fn resize_of_memory_cpus_and_share() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    let bigger = RecordedAction::load("resize", "resize.2");
    bigger.with("<CPU><![CDATA[0.5]]></CPU><DISK>", "<CPU>2</CPU><DISK>").run(&host, &uuid).ok();
    at_most(&host, 4, 4);
}

#[test]
fn resize_disk_of_a_disk_that_can_grow() {
    let host = Host::with_pool(&["--online-resize"]);
    host.sim(&["delay", "any", "200"]);
    let uuid = host.deploy().ok();
    host.forget_calls();
    RecordedAction::load("resize_disk", "resize_disk").run(&host, &uuid).ok();
    at_most(&host, 4, 3);
}

#[test]
fn the_context_disc_taken_out_and_replaced() {
    for (device, all, in_a_row) in [("cd", 9, 5), ("disk", 10, 6)] {
        let host = slow_host().set("CONTEXT_DEVICE", device);
        let uuid = host.deploy().ok();
        host.forget_calls();
        RecordedAction::load("prereconfigure", "prereconfigure").run(&host, &uuid).ok();
        at_most(&host, 5, 3);
        host.forget_calls();
        RecordedAction::load("reconfigure", "reconfigure").run(&host, &uuid).ok();
        at_most(&host, all, in_a_row);
    }
}

#[test]
fn poll_costs_the_same_with_a_thousand_vms_in_the_pool() {
    let host = Host::with_pool(&["--vms", "1000"]);
    let uuid = host.xe(&["vm-list", "name-label=one-7", "--minimal"]);
    host.forget_calls();
    assert!(host.run("poll", &[&uuid, "xcp-a"], b"").ok().starts_with("STATE=a "));
    at_most(&host, 1, 1);
}

fn slow_host_with_disk_3() -> (Host, String) {
    let host = slow_host();
    let uuid = host.deploy().ok();
    data_disk::make_file(&host);
    host.forget_calls();
    (host, uuid)
}

#[test]
fn a_file_attached_as_a_disk_and_written_back() {
    let (host, uuid) = slow_host_with_disk_3();
    data_disk::attach().run(&host, &uuid).ok();
    at_most(&host, 9, 6);
    host.forget_calls();
    data_disk::detach().run(&host, &uuid).ok();
    at_most(&host, 5, 4);
}

#[test]
fn a_vdi_attached_and_detached() {
    let (host, uuid) = slow_host_with_disk_3();
    data_disk::make_vdi(&host, 3);
    let in_xcp = |action: RecordedAction| action.with(data_disk::DISK_3_END, data_disk::DISK_3_IN_XCP);
    host.forget_calls();
    in_xcp(data_disk::attach()).run(&host, &uuid).ok();
    at_most(&host, 5, 4);
    host.forget_calls();
    in_xcp(data_disk::detach()).run(&host, &uuid).ok();
    at_most(&host, 4, 3);
}

#[test]
fn a_disc_put_into_the_drive_and_taken_out() {
    let (host, uuid) = slow_host_with_disk_3();
    let drive = data_disk::vbds(&host, &uuid, "type=CD", "uuid");
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-param-clear", &format!("uuid={drive}"), "param-name=other-config"]);
    let disc = |action: RecordedAction| action.with(data_disk::DISK_3_END, data_disk::DISK_3_AS_CD);
    host.forget_calls();
    disc(data_disk::attach()).run(&host, &uuid).ok();
    at_most(&host, 8, 5);
    host.forget_calls();
    disc(data_disk::detach()).run(&host, &uuid).ok();
    at_most(&host, 5, 4);
}

#[test]
fn a_nic_attached_and_detached() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    RecordedAction::load("attach_nic", "attach_nic").run(&host, &uuid).ok();
    at_most(&host, 6, 4);
    host.forget_calls();
    RecordedAction::load("detach_nic", "detach_nic").run(&host, &uuid).ok();
    at_most(&host, 4, 3);
}

#[test]
fn suspend_restore_and_restart() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    for (action, all, in_a_row) in [("reboot", 2, 2), ("reset", 2, 2), ("save", 3, 3)] {
        host.forget_calls();
        RecordedAction::load(action, action).run(&host, &uuid).ok();
        at_most(&host, all, in_a_row);
    }
    host.on_vm("cancel", "cancel", &uuid).ok();
    let uuid = host.deploy().ok();
    host.forget_calls();
    RecordedAction::load("save", "save.2").run(&host, &uuid).ok();
    at_most(&host, 5, 4);
    host.forget_calls();
    let checkpoint = "/var/lib/one//datastores/0/1/checkpoint";
    let message = Recorded::load("restore").stdin;
    host.run("restore", &[checkpoint, "xcp-a", &uuid, "1", "xcp-a"], &message).ok();
    at_most(&host, 4, 3);
}

/// The VM has two disks; each costs two calls to name its new VDI.
#[test]
fn snapshots_of_a_vm_with_two_disks() {
    let host = slow_host();
    let uuid = host.deploy().ok();
    host.forget_calls();
    let snapshot = RecordedAction::load("snapshot_create", "snapshot_create").run(&host, &uuid).ok();
    at_most(&host, 5, 3);
    host.forget_calls();
    let message = Recorded::load("snapshot_revert").stdin;
    host.run("snapshot_revert", &[&uuid, &snapshot, "1", "xcp-a"], &message).ok();
    at_most(&host, 10, 5);
    host.forget_calls();
    host.run("snapshot_delete", &[&uuid, &snapshot, "1", "xcp-a"], b"").ok();
    at_most(&host, 5, 4);
}
