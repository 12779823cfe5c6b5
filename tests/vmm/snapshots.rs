//! `snapshot_create`, `snapshot_revert`, `snapshot_delete`, through their links, with what a real oned sent.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded};
use std::fs;

fn create() -> RecordedAction {
    RecordedAction::load("snapshot_create", "snapshot_create")
}

/// The recorded action, on the snapshot with this uuid.
fn on(action: &'static str, snapshot: &str) -> RecordedAction {
    let mut recorded = RecordedAction::load(action, action);
    assert_eq!(recorded.recorded.argv[1], "snapuuid-22196");
    snapshot.clone_into(&mut recorded.recorded.argv[1]);
    recorded.with("snapuuid-22196", snapshot)
}

fn running() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    (host, uuid)
}

fn state(host: &Host, uuid: &str) -> String {
    host.vm_param(uuid, "power-state")
}

fn vdi_field(host: &Host, vdi: &str, name: &str) -> String {
    host.xe(&["vdi-param-get", &format!("uuid={vdi}"), &format!("param-name={name}")])
}

fn snapshots(host: &Host) -> Vec<String> {
    let listed = host.xe(&["snapshot-list", "params=uuid", "--minimal"]);
    listed.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
}

/// Every VDI and snapshot of the pool.
fn all(host: &Host) -> String {
    host.xe(&["vdi-list", "params=uuid", "--minimal"]) + &host.xe(&["snapshot-list", "--minimal"])
}

#[test]
fn a_vm_goes_on_in_the_memory_and_with_the_disks_of_its_snapshot() {
    let (host, uuid) = running();
    let first = host.vdi_in(&uuid, "0");
    host.write_vdi(&first, 4096, b"before");
    let snapshot = create().run(&host, &uuid).ok();
    assert_eq!(snapshots(&host), [snapshot.as_str()]);
    host.write_vdi(&first, 4096, b"after!");
    on("snapshot_revert", &snapshot).run(&host, &uuid).ok();
    assert_eq!((state(&host, &uuid), host.host_of(&uuid)), ("running".into(), "xcp-a".into()));
    let now = host.vdi_in(&uuid, "0");
    assert_ne!(now, first);
    assert!(host.vdi_holds(&now, 4096, b"before"));
    let tags = vdi_field(&host, &now, "tags");
    assert!(tags.contains(&format!("one-vm-{uuid}")) && tags.contains("one-1-disk-0"), "{tags}");
    // What is written from now on finds its way back.
    host.write_vdi(&now, 4096, b"at last");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert!(fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap()[4096..].starts_with(b"at last"));
}

#[test]
fn a_guest_without_tools_gets_a_snapshot_without_memory_and_starts_from_it() {
    let (host, uuid) = running();
    host.sim(&["fail", "vm-checkpoint", "--code", "VM_MISSING_PV_DRIVERS"]);
    let said = create().run(&host, &uuid);
    assert!(said.stderr.contains("WARN: the snapshot is without the VM's memory"), "{said:#?}");
    let snapshot = said.ok();
    assert_eq!(state(&host, &snapshot), "halted");
    let domain = host.vm_param(&uuid, "dom-id");
    on("snapshot_revert", &snapshot).run(&host, &uuid).ok();
    assert_eq!(state(&host, &uuid), "running");
    assert_ne!(host.vm_param(&uuid, "dom-id"), domain);
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let (host, uuid) = running();
    let before = all(&host);
    let snapshot = create().run_from_front_end(&host, &uuid).ok();
    on("snapshot_revert", &snapshot).run_from_front_end(&host, &uuid).ok();
    on("snapshot_delete", &snapshot).run_from_front_end(&host, &uuid).ok();
    assert_eq!(all(&host).len(), before.len());
}

#[test]
fn deleted_a_snapshot_leaves_nothing_and_can_be_deleted_again() {
    let (host, uuid) = running();
    let before = all(&host);
    let snapshot = create().run(&host, &uuid).ok();
    assert_ne!(all(&host), before);
    on("snapshot_delete", &snapshot).run(&host, &uuid).ok();
    assert_eq!(all(&host), before);
    let again = on("snapshot_delete", &snapshot).run(&host, &uuid);
    assert!(again.stderr.contains("nothing to do"), "{again:#?}");
    again.ok();
}

#[test]
fn terminated_from_any_state_a_vm_leaves_none_of_its_snapshots() {
    let host = Host::new();
    let before = all(&host);
    for reverted in [false, true] {
        for suspended in [false, true] {
            let uuid = host.deploy().ok();
            let first = create().run(&host, &uuid).ok();
            if reverted {
                on("snapshot_revert", &first).run(&host, &uuid).ok();
            }
            if suspended {
                RecordedAction::load("save", "save.3").run(&host, &uuid).ok();
            }
            host.on_vm("cancel", "cancel.2", &uuid).ok();
            // LCM_STATE of cancel.2 keeps the disks, and with them the snapshots; shutdown.3 ends the VM.
            host.on_vm("shutdown", "shutdown.3", &uuid).ok();
            assert_eq!(all(&host), before, "reverted {reverted}, suspended {suspended}");
        }
    }
}

#[test]
fn step_by_step_the_snapshots_go_too() {
    let (host, uuid) = running();
    create().run(&host, &uuid).ok();
    host.sim(&["fail", "vm-uninstall", "--code", "INTERNAL_ERROR"]);
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert_eq!(snapshots(&host), [""; 0]);
    assert_eq!(host.xe(&["vdi-list", "params=name-label", "--minimal"]).matches("one-1").count(), 0);
}

#[test]
fn snapshots_survive_power_off_and_migration() {
    let (host, uuid) = running();
    let snapshot = create().run(&host, &uuid).ok();
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(snapshots(&host), [snapshot.as_str()]);
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert_eq!(snapshots(&host), [snapshot.as_str()]);
    let more = Recorded::load("deploy").with("<MEMORY><![CDATA[512]]>", "<MEMORY><![CDATA[768]]>");
    assert_eq!(host.deploy_document("xcp-a", &more.stdin).ok(), uuid);
    assert_eq!(host.vm_param(&uuid, "memory-dynamic-max"), (768_u64 << 20).to_string());
    assert_eq!(snapshots(&host), [snapshot.as_str()]);
    on("snapshot_revert", &snapshot).run(&host, &uuid).ok();
    assert_eq!(state(&host, &uuid), "running");
}

#[test]
fn what_the_driver_wrote_back_itself_is_no_change_to_warn_of() {
    let (host, _) = off_with_snapshot();
    let said = host.deploy();
    assert!(!said.stderr.contains("WARN"), "{said:#?}");
    said.ok();
}

#[test]
fn a_revert_that_takes_back_a_resize_says_so() {
    let (host, uuid) = running();
    let snapshot = create().run(&host, &uuid).ok();
    let revert = |old: &str, new: &str| on("snapshot_revert", &snapshot).with(old, new).run(&host, &uuid);
    let said = revert("<MEMORY><![CDATA[512]]>", "<MEMORY><![CDATA[768]]>");
    assert!(said.stderr.contains("WARN: the VM has the size of its snapshot again, 512 MB"), "{said:#?}");
    said.ok();
}

/// The deployment of VM 1 after the swap disk was detached, another disk and NIC were attached and the context was
/// changed, all while the VM was off.
fn changed_while_off(host: &Host) -> Recorded {
    let folder = host.vm_folder(0, 1);
    fs::remove_file(folder.join("disk.1")).unwrap();
    crate::common::sparse_file(
        &folder.join("disk.2"),
        368 << 10,
        &[(32_769, b"CD001"), (32_808, b"CHANGED")],
    );
    crate::common::sparse_file(&folder.join("disk.3"), 6 << 20, &[(4096, b"new disk")]);
    let recorded = Recorded::load("deploy");
    let text = String::from_utf8(recorded.stdin.clone()).unwrap();
    let piece = |from: &str, to: &str| {
        let at = text.find(from).unwrap();
        text[at..].split_inclusive(to).next().unwrap().to_owned()
    };
    let mut disks =
        text.match_indices("<DISK>").map(|(at, _)| text[at..].split_inclusive("</DISK>").next().unwrap());
    let swap = disks.find(|disk| disk.contains("<TYPE><![CDATA[swap]]>")).unwrap().to_owned();
    let more = "<DISK><DISK_ID>3</DISK_ID><TYPE>FILE</TYPE><FORMAT>raw</FORMAT><DRIVER>raw</DRIVER><SIZE>6</SIZE>\
        <TARGET>xvdb</TARGET></DISK>";
    let nic = piece("<NIC><AR_ID>", "</NIC>");
    let other = nic
        .replace("02:00:c0:a8:0a:0a", "02:00:c0:a8:0a:0b")
        .replace("<NIC_ID><![CDATA[0]]>", "<NIC_ID><![CDATA[1]]>");
    recorded.with(&swap, more).with(&nic, &format!("{nic}{other}"))
}

fn as_changed(host: &Host, uuid: &str) {
    let context = host.vdi_in(uuid, "3");
    assert!(host.vdi_holds(&context, 32_808, b"CHANGED"));
    assert!(host.vdi_holds(&host.vdi_in(uuid, "1"), 4096, b"new disk"));
    assert!(host.vdi_holds(&host.vdi_in(uuid, "0"), 4096, b"by the guest"));
    let of_vm = format!("vm-uuid={uuid}");
    let slots = host.xe(&["vbd-list", &of_vm, "params=userdevice", "--minimal"]);
    assert_eq!(slots.split(',').count(), 3, "{slots}");
    let mut macs: Vec<String> =
        host.xe(&["vif-list", &of_vm, "params=MAC", "--minimal"]).split(',').map(str::to_owned).collect();
    macs.sort();
    assert_eq!(macs, ["02:00:c0:a8:0a:0a", "02:00:c0:a8:0a:0b"]);
}

/// A VM with a snapshot, powered off.
fn off_with_snapshot() -> (Host, String) {
    let (host, uuid) = running();
    create().run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 4096, b"by the guest");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    (host, uuid)
}

#[test]
fn what_changed_while_a_vm_with_snapshots_was_off_is_there_when_it_starts() {
    let (host, uuid) = off_with_snapshot();
    let changed = changed_while_off(&host);
    assert_eq!(host.deploy_document("xcp-a", &changed.stdin).ok(), uuid);
    as_changed(&host, &uuid);
    assert_eq!(snapshots(&host).len(), 1);
}

#[test]
fn whatever_call_fails_while_a_vm_with_snapshots_is_changed_it_can_be_deployed_again() {
    let (host, uuid) = off_with_snapshot();
    let changed = changed_while_off(&host);
    let file = host.vm_folder(0, 1).join("deployment.0");
    let args = [file.to_str().unwrap(), "xcp-a", "1", "xcp-a"];
    steps::each_call(&host, &WAYS, &|host| host.action("deploy", &args, &changed.stdin), &|host, step| {
        if step.said.code != Some(0) && step.wrong != Wrong::Killed {
            assert_eq!(state(host, &uuid), "halted", "{step:#?}");
        }
        assert_eq!(host.deploy_document("xcp-a", &changed.stdin).ok(), uuid, "{step:#?}");
        as_changed(host, &uuid);
        assert_eq!(snapshots(host).len(), 1, "{step:#?}");
    });
}

#[test]
fn a_file_that_names_a_vdi_names_the_new_one() {
    let host = Host::new();
    let sr = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=image", "virtual-size=5MiB"]);
    let file = host.vm_folder(0, 1).join("disk.0");
    fs::write(&file, format!("{vdi}\n")).unwrap();
    let (old, new) = (
        "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]>",
        "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[xcp]]>",
    );
    let uuid = host.deploy_document("xcp-a", &Recorded::load("deploy").with(old, new).stdin).ok();
    let snapshot = create().run(&host, &uuid).ok();
    on("snapshot_revert", &snapshot).with(old, new).run(&host, &uuid).ok();
    let now = host.vdi_in(&uuid, "0");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{now}\n"));
    // It is still the datastore's: it stays when the VM goes.
    let end = Recorded::load("shutdown.3").with(old, new);
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &end.stdin).ok();
    assert_eq!(vdi_field(&host, &now, "name-label"), "image");
}

#[test]
fn what_is_no_snapshot_of_the_vm_is_not_touched() {
    let (host, uuid) = running();
    let foreign = host.xe(&["vm-list", "is-control-domain=false", "params=uuid", "--minimal"]);
    let foreign = foreign.split(',').find(|other| *other != uuid).unwrap();
    let other = host.xe(&["vm-snapshot", &format!("uuid={foreign}"), "new-name-label=mine"]);
    let before = host.dump();
    for action in ["snapshot_revert", "snapshot_delete"] {
        let line = on(action, &other).run(&host, &uuid).failure();
        assert!(line.contains("is not one of VM"), "{line}");
        let line = RecordedAction::load(action, action).run(&host, &uuid).failure();
        assert!(line.contains("the id of no XAPI snapshot"), "{line}");
    }
    host.is_as(&before);
}

#[test]
fn a_disk_that_was_detached_since_does_not_come_back_behind_opennebulas_back() {
    let (host, uuid) = running();
    crate::common::sparse_file(&host.vm_folder(0, 1).join("disk.3"), 10 << 20, &[(4096, b"data")]);
    RecordedAction::load("attach_disk", "attach_disk").run(&host, &uuid).ok();
    let snapshot = create().run(&host, &uuid).ok();
    RecordedAction::load("detach_disk", "detach_disk").run(&host, &uuid).ok();
    let before = host.dump();
    let line = on("snapshot_revert", &snapshot).run(&host, &uuid).failure();
    assert!(line.contains("disk 3 of the snapshot was detached after it was taken"), "{line}");
    host.is_as(&before);
}

#[test]
fn attached_again_since_the_snapshot_a_disk_leaves_no_vdi_behind() {
    let host = Host::new();
    let before = all(&host);
    let uuid = host.deploy().ok();
    crate::common::sparse_file(&host.vm_folder(0, 1).join("disk.3"), 10 << 20, &[(4096, b"data")]);
    let attach = RecordedAction::load("attach_disk", "attach_disk");
    attach.run(&host, &uuid).ok();
    let snapshot = create().run(&host, &uuid).ok();
    RecordedAction::load("detach_disk", "detach_disk").run(&host, &uuid).ok();
    attach.run(&host, &uuid).ok();
    let anew = host.vdi_in(&uuid, "2");
    let document = String::from_utf8(attach.recorded.stdin.clone()).unwrap();
    let disk = document.split_inclusive("</DISK>").find(|piece| piece.contains("<ATTACH>")).unwrap();
    let disk = &disk[disk.find("<DISK>").unwrap()..];
    on("snapshot_revert", &snapshot).with("<FEATURES>", &format!("{disk}<FEATURES>")).run(&host, &uuid).ok();
    assert_eq!(host.xe(&["vdi-list", &format!("uuid={anew}"), "--minimal"]), "");
    assert!(host.vdi_holds(&host.vdi_in(&uuid, "2"), 4096, b"data"));
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert_eq!(all(&host), before);
}

#[test]
fn after_a_revert_no_nic_is_there_that_opennebula_has_detached_and_missing_ones_are_named() {
    for with_memory in [true, false] {
        let (host, uuid) = running();
        RecordedAction::load("attach_nic", "attach_nic").run(&host, &uuid).ok();
        if !with_memory {
            host.sim(&["fail", "vm-checkpoint", "--code", "VM_MISSING_PV_DRIVERS"]);
        }
        let snapshot = create().run(&host, &uuid).ok();
        RecordedAction::load("detach_nic", "detach_nic").run(&host, &uuid).ok();
        on("snapshot_revert", &snapshot).run(&host, &uuid).ok();
        let macs = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=MAC", "--minimal"]);
        assert_eq!(macs, "02:00:c0:a8:0a:0a", "with memory: {with_memory}");
        assert_eq!(state(&host, &uuid), "running");
    }
    let (host, uuid) = running();
    let snapshot = create().run(&host, &uuid).ok();
    let nic = "<NIC><NIC_ID>1</NIC_ID><BRIDGE>xenbr0</BRIDGE><MAC>02:00:c0:a8:0a:0b</MAC></NIC>";
    let said = on("snapshot_revert", &snapshot).with("<NIC>", &format!("{nic}<NIC>")).run(&host, &uuid);
    assert!(said.stderr.contains("WARN: NIC 1 (02:00:c0:a8:0a:0b) was attached after"), "{said:#?}");
    said.ok();
}

const WAYS: [Wrong; 4] = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];

#[test]
fn whatever_call_of_create_fails_there_is_one_snapshot_or_none() {
    let (host, uuid) = running();
    steps::each_call(&host, &WAYS, &|host| create().command(host, &uuid), &|host, step| {
        assert_eq!(state(host, &uuid), "running", "{step:#?}");
        if step.wrong != Wrong::Killed {
            assert_eq!(snapshots(host).len(), usize::from(step.said.code == Some(0)), "{step:#?}");
        }
        create().run(host, &uuid).ok();
        assert_eq!(snapshots(host).len(), 1, "{step:#?}");
    });
}

#[test]
fn whatever_call_of_revert_fails_the_vm_runs_or_can_be_reverted_again() {
    let (host, uuid) = running();
    let snapshot = create().run(&host, &uuid).ok();
    let revert = on("snapshot_revert", &snapshot);
    let disks = host.xe(&["vdi-list", "--minimal"]).split(',').count();
    steps::each_call(&host, &WAYS, &|host| revert.command(host, &uuid), &|host, step| {
        revert.run(host, &uuid).ok();
        assert_eq!(state(host, &uuid), "running", "{step:#?}");
        assert_eq!(host.xe(&["vdi-list", "--minimal"]).split(',').count(), disks, "{step:#?}");
    });
}

#[test]
fn whatever_call_of_delete_fails_it_is_there_whole_or_not_at_all() {
    let (host, uuid) = running();
    let before = all(&host);
    let snapshot = create().run(&host, &uuid).ok();
    let delete = on("snapshot_delete", &snapshot);
    steps::each_call(&host, &WAYS, &|host| delete.command(host, &uuid), &|host, step| {
        delete.run(host, &uuid).ok();
        assert_eq!(all(host), before, "{step:#?}");
    });
}
