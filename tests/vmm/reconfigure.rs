//! `prereconfigure` and `reconfigure`, through their links, with what a real oned sent.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, Said, said, sparse_file};

fn pre() -> RecordedAction {
    RecordedAction::load("prereconfigure", "prereconfigure")
}

fn re() -> RecordedAction {
    RecordedAction::load("reconfigure", "reconfigure")
}

/// What the transfer manager does in between: another disc, a larger one.
fn build_new_disc(host: &Host) {
    let pieces: [(u64, &[u8]); 3] = [(32_769, b"CD001"), (32_808, b"CONTEXT"), (3 << 20, b"new")];
    sparse_file(&host.vm_folder(0, 1).join("disk.2"), 4 << 20, &pieces);
}

/// A VM whose context disc is in its CD drive.
fn as_cd() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    build_new_disc(&host);
    (host, uuid)
}

/// One whose context disc is a disk.
fn as_disk() -> (Host, String) {
    let host = Host::new().set("CONTEXT_DEVICE", "disk");
    let uuid = host.deploy().ok();
    build_new_disc(&host);
    (host, uuid)
}

fn context_vdis(host: &Host) -> Vec<String> {
    let found = host.xe(&["vdi-list", "name-label=one-1-disk-2", "--minimal"]);
    found.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
}

/// The VM has the new disc, once, and the pool no other.
#[track_caller]
fn has_the_new_disc(host: &Host, uuid: &str, kind: &str) {
    let vdis = context_vdis(host);
    assert_eq!(vdis.len(), 1, "{vdis:?}");
    assert!(host.vdi_holds(&vdis[0], 3 << 20, b"new"));
    let filters = [format!("vm-uuid={uuid}"), format!("type={kind}"), format!("vdi-uuid={}", vdis[0])];
    let vbd = host.xe(&["vbd-list", &filters[0], &filters[1], &filters[2], "--minimal"]);
    assert_eq!(vbd.len(), 36, "{vbd}");
    let disk_id = ["param-name=other-config", "param-key=one_disk_id"];
    assert_eq!(host.xe(&["vbd-param-get", &format!("uuid={vbd}"), disk_id[0], disk_id[1]]), "2");
    assert_eq!(host.xe(&["vbd-param-get", &format!("uuid={vbd}"), "param-name=currently-attached"]), "true");
}

#[test]
fn the_disc_in_the_cd_drive_is_replaced() {
    let (host, uuid) = as_cd();
    pre().run(&host, &uuid).ok();
    assert_eq!(context_vdis(&host), [""; 0]);
    let drive = [format!("vm-uuid={uuid}"), "type=CD".to_owned()];
    assert_eq!(host.xe(&["vbd-list", &drive[0], &drive[1], "params=empty", "--minimal"]), "true");
    re().run(&host, &uuid).ok();
    has_the_new_disc(&host, &uuid, "CD");
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert_eq!(context_vdis(&host), [""; 0]);
}

#[test]
fn the_disc_that_is_a_disk_is_replaced() {
    let (host, uuid) = as_disk();
    let disks =
        |host: &Host| host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "params=userdevice", "--minimal"]);
    let before = disks(&host);
    pre().run(&host, &uuid).ok();
    assert_eq!(context_vdis(&host), [""; 0]);
    re().run(&host, &uuid).ok();
    has_the_new_disc(&host, &uuid, "Disk");
    assert_eq!(disks(&host).len(), before.len());
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert_eq!(context_vdis(&host), [""; 0]);
}

#[test]
fn a_vm_with_a_cd_of_its_own_keeps_it() {
    let host = Host::new();
    let with_cd =
        Recorded::load("deploy").with("<TYPE><![CDATA[swap]]></TYPE>", "<TYPE><![CDATA[CDROM]]></TYPE>");
    let uuid = host.deploy_document("xcp-a", &with_cd.stdin).ok();
    build_new_disc(&host);
    pre().run(&host, &uuid).ok();
    re().run(&host, &uuid).ok();
    has_the_new_disc(&host, &uuid, "Disk");
    let cd =
        host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "params=vdi-name-label", "--minimal"]);
    assert_eq!(cd, "one-1-disk-1");
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let (host, uuid) = as_cd();
    pre().run_from_front_end(&host, &uuid).ok();
    re().run_from_front_end(&host, &uuid).ok();
    has_the_new_disc(&host, &uuid, "CD");
}

#[test]
fn the_bytes_that_a_real_oned_sent_a_local_action_are_understood() {
    // That VM had no context disc of its own yet, and is VM 3 on another host: its uuid and files are made ours.
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.mark_as(&uuid, 3);
    for action in ["prereconfigure", "reconfigure"] {
        let recorded = Recorded::load_from("opennebula-7.4-local", action);
        let mut command = host.command(host.path(&format!("remotes/vmm/xcp/{action}")));
        command.arg(&uuid).args(recorded.argv.iter().skip(1));
        let folder = host.vm_folder(0, 3);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(host.vm_folder(0, 1).join("disk.2"), folder.join("disk.2")).unwrap();
        said(&mut command, &recorded.stdin).ok();
    }
}

#[test]
fn done_again_each_is_success() {
    for ((host, uuid), kind) in [(as_cd(), "CD"), (as_disk(), "Disk")] {
        pre().run(&host, &uuid).ok();
        let before = host.dump();
        let again = pre().run(&host, &uuid);
        assert!(again.stderr.contains("is out already"), "{again:#?}");
        again.ok();
        host.is_as(&before);
        re().run(&host, &uuid).ok();
        re().run(&host, &uuid).ok();
        has_the_new_disc(&host, &uuid, kind);
    }
}

#[test]
fn without_the_first_the_second_replaces_by_itself_under_any_name() {
    for action in ["reconfigure", "update_conf"] {
        let (host, uuid) = as_cd();
        RecordedAction { action, ..re() }.run(&host, &uuid).ok();
        has_the_new_disc(&host, &uuid, "CD");
    }
}

const WAYS: [Wrong; 3] = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];

#[test]
fn whatever_call_fails_of_either_the_vm_is_as_it_was_and_can_go_on() {
    for ((host, uuid), kind) in [(as_cd(), "CD"), (as_disk(), "Disk")] {
        let again = |host: &Host| -> Said { pre().run(host, &uuid) };
        steps::each_call(&host, &WAYS, &|host| pre().command(host, &uuid), &|host, step| {
            steps::undone_or_done(host, step, &again);
            re().run(host, &uuid).ok();
            has_the_new_disc(host, &uuid, kind);
        });
        let again = |host: &Host| -> Said { re().run(host, &uuid) };
        steps::each_call(&host, &WAYS, &|host| re().command(host, &uuid), &|host, step| {
            steps::undone_or_done(host, step, &again);
            has_the_new_disc(host, &uuid, kind);
        });
    }
}

#[test]
fn what_nobody_can_tell_of_a_vdi_that_may_have_been_made_is_said_and_the_next_clears_it() {
    let (host, uuid) = as_cd();
    host.sim(&["fail", "vdi-create", "--after"]);
    host.sim(&["fail", "vdi-list", "--nth", "2"]);
    let said = re().run(&host, &uuid);
    assert!(said.stderr.contains("WARN: a VDI one-1-disk-2 may be left in the pool"), "{said:#?}");
    assert!(said.failure().contains("cannot make the new context disc"));
    assert_eq!(context_vdis(&host).len(), 2);
    re().run(&host, &uuid).ok();
    has_the_new_disc(&host, &uuid, "CD");
}

#[test]
fn what_a_killed_driver_leaves_the_next_clears() {
    for ((host, uuid), kind) in [(as_cd(), "CD"), (as_disk(), "Disk")] {
        for action in [pre(), re()] {
            steps::each_call(&host, &[Wrong::Killed], &|host| action.command(host, &uuid), &|host, _| {
                pre().run(host, &uuid).ok();
                re().run(host, &uuid).ok();
                has_the_new_disc(host, &uuid, kind);
            });
        }
        steps::each_call(&host, &[Wrong::Killed], &|host| re().command(host, &uuid), &|host, _| {
            host.on_vm("shutdown", "shutdown.3", &uuid).ok();
            assert_eq!(context_vdis(host), [""; 0]);
        });
    }
}

#[test]
fn a_guest_that_keeps_the_disk_is_named_and_keeps_it() {
    let (host, uuid) = as_disk();
    let before = host.dump();
    host.sim(&["fail", "vbd-unplug", "--code", "DEVICE_DETACH_REJECTED"]);
    let line = pre().run(&host, &uuid).failure();
    assert!(line.contains("the guest does not let go of it: unmount it there"), "{line}");
    host.is_as(&before);
    host.sim(&["guest", "one-1", "tools=no"]);
    let before = host.dump();
    let line = pre().run(&host, &uuid).failure();
    assert!(line.contains("no PV drivers to plug disks with"), "{line}");
    host.is_as(&before);
}

#[test]
fn bad_input_is_refused_without_touching_the_pool() {
    let (host, uuid) = as_cd();
    let before = host.dump();
    let line = host.run("prereconfigure", &[&uuid, "sda", "1", "xcp-a"], b"").failure();
    assert!(line.contains("no message that tells which disk is the context"), "{line}");
    let line = host.run("reconfigure", &[&uuid, "sda"], b"").failure();
    assert!(line.contains("ISO_PATH"), "{line}");
    std::fs::remove_file(host.vm_folder(0, 1).join("disk.2")).unwrap();
    let line = re().run(&host, &uuid).failure();
    assert!(line.contains("disk.2"), "{line}");
    let gone = "11111111-2222-3333-4444-000000000001";
    assert_eq!(pre().run(&host, gone).failure(), format!("prereconfigure: the pool has no VM {gone}."));
    host.is_as(&before);
}
