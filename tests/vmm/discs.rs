//! What is in a VM's CD drive is not always what the driver put there: whatever an action does, a disc that is not
//! OpenNebula's stays in the pool, one that somebody ejected goes, and no drive has XAPI's `owner`.
use crate::common::data_disk::{DISK_3_AS_CD, DISK_3_END, attach, detach, make_file};
use crate::common::recorded_action::RecordedAction;
use crate::common::{Host, sparse_file};

const TERMINATE: &str = "shutdown.3";

fn drive(host: &Host, uuid: &str) -> String {
    let drive = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]);
    format!("uuid={drive}")
}

fn marks(host: &Host, uuid: &str) -> String {
    host.xe(&["vbd-param-get", &drive(host, uuid), "param-name=other-config"])
}

fn eject(host: &Host, uuid: &str) {
    host.xe(&["vbd-eject", &drive(host, uuid)]);
}

/// Ejects what is in the drive and puts a disc of XAPI's tools SR in; gives that back.
fn put_tools_in(host: &Host, uuid: &str) -> String {
    let sr = host.xe(&["sr-list", "name-label=XenServer Tools", "--minimal"]);
    let tools = host.xe(&["vdi-list", &format!("sr-uuid={sr}"), "--minimal"]);
    let tools = tools.split(',').next().unwrap().to_owned();
    eject(host, uuid);
    host.xe(&["vbd-insert", &drive(host, uuid), &format!("vdi-uuid={tools}")]);
    tools
}

fn named(host: &Host, name: &str) -> Vec<String> {
    let found = host.xe(&["vdi-list", &format!("name-label={name}"), "--minimal"]);
    found.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
}

/// The guest powers itself off.
fn power_itself_off(host: &Host, uuid: &str) {
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

#[test]
fn a_new_context_disc_ejects_a_foreign_one_and_keeps_it() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    let tools = put_tools_in(&host, &uuid);
    RecordedAction::load("prereconfigure", "prereconfigure").run(&host, &uuid).ok();
    assert_eq!(named(&host, "one-1-disk-2"), [""; 0]);
    assert_eq!(host.vdi_in(&uuid, "3"), tools);
    sparse_file(&host.vm_folder(0, 1).join("disk.2"), 4 << 20, &[(32_769, b"CD001")]);
    RecordedAction::load("reconfigure", "reconfigure").run(&host, &uuid).ok();
    assert_eq!(named(&host, "one-1-disk-2"), [host.vdi_in(&uuid, "3")]);
    assert!(marks(&host, &uuid).contains(&host.vdi_in(&uuid, "3")), "{}", marks(&host, &uuid));
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_drive_of_an_older_release_loses_its_owner_with_the_next_disc() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vbd-param-set", &drive(&host, &uuid), "other-config:owner="]);
    RecordedAction::load("reconfigure", "reconfigure").run(&host, &uuid).ok();
    assert!(!marks(&host, &uuid).contains("owner"), "{}", marks(&host, &uuid));
}

#[test]
fn deployed_after_its_guest_went_off_a_vm_takes_along_no_disc_that_is_not_its_own() {
    for has_tools in [false, true] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        if has_tools {
            put_tools_in(&host, &uuid);
        } else {
            eject(&host, &uuid);
        }
        power_itself_off(&host, &uuid);
        let again = host.deploy().ok();
        assert_eq!(named(&host, "one-1-disk-2"), [host.vdi_in(&again, "3")]);
        host.on_vm("cancel", "cancel", &again).ok();
        host.is_as(&before);
    }
}

#[test]
fn deployed_with_snapshots_a_vm_gets_its_context_disc_again() {
    for has_tools in [false, true] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        RecordedAction::load("snapshot_create", "snapshot_create").run(&host, &uuid).ok();
        if has_tools {
            put_tools_in(&host, &uuid);
        } else {
            eject(&host, &uuid);
        }
        host.on_vm("shutdown", "shutdown", &uuid).ok();
        assert_eq!(host.deploy().ok(), uuid);
        assert!(named(&host, "one-1-disk-2").contains(&host.vdi_in(&uuid, "3")));
        host.on_vm("shutdown", TERMINATE, &uuid).ok();
        host.is_as(&before);
    }
}

#[test]
fn back_at_a_snapshot_the_drive_has_no_owner() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    // Of an earlier release; the snapshot's drive has it too.
    host.xe(&["vbd-param-set", &drive(&host, &uuid), "other-config:owner="]);
    let taken = RecordedAction::load("snapshot_create", "snapshot_create").run(&host, &uuid).ok();
    put_tools_in(&host, &uuid);
    let mut revert = RecordedAction::load("snapshot_revert", "snapshot_revert");
    taken.clone_into(&mut revert.recorded.argv[1]);
    revert.run(&host, &uuid).ok();
    assert!(!marks(&host, &uuid).contains("owner"), "{}", marks(&host, &uuid));
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

/// A VM with disk 3 as a CD in its drive, and the pool before.
fn with_cd() -> (Host, String, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    make_file(&host);
    RecordedAction::load("prereconfigure", "prereconfigure").run(&host, &uuid).ok();
    host.xe(&["vbd-param-clear", &drive(&host, &uuid), "param-name=other-config"]);
    let before = host.dump();
    attach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    (host, uuid, before)
}

#[test]
fn a_cd_that_somebody_ejected_is_detached_with_its_vdi() {
    let (host, uuid, before) = with_cd();
    eject(&host, &uuid);
    detach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    host.is_as(&before);
    detach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn detached_a_cd_leaves_a_foreign_disc_where_it_is() {
    let (host, uuid, _) = with_cd();
    let tools = put_tools_in(&host, &uuid);
    detach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "3"), tools);
    assert_eq!(named(&host, "one-1-disk-3"), [""; 0]);
    assert_eq!(marks(&host, &uuid), "");
}

#[test]
fn a_disc_goes_into_a_drive_whose_own_was_ejected_and_that_one_goes() {
    let (host, uuid, _) = with_cd();
    eject(&host, &uuid);
    host.xe(&["vbd-param-set", &drive(&host, &uuid), "other-config:owner="]);
    let first = named(&host, "one-1-disk-3");
    attach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    assert_eq!(named(&host, "one-1-disk-3"), [host.vdi_in(&uuid, "3")]);
    assert_ne!(named(&host, "one-1-disk-3"), first);
    assert!(!marks(&host, &uuid).contains("owner"), "{}", marks(&host, &uuid));
}
