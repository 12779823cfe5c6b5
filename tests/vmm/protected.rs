//! VMs that somebody has protected from deletion (`blocked-operations:destroy`, the switch of XO and XCP-ng Center), and
//! removals that XAPI refuses or does only in part.
use crate::common::recorded_action::RecordedAction;
use crate::common::{Host, Said};

const TERMINATE: &str = "shutdown.3";

fn protect(host: &Host, uuid: &str) {
    host.xe(&["vm-param-set", &format!("uuid={uuid}"), "blocked-operations:destroy=true"]);
}

fn unprotect(host: &Host, uuid: &str) {
    host.xe(&["vm-param-clear", &format!("uuid={uuid}"), "param-name=blocked-operations"]);
}

fn warns_of(said: &Said, what: &str) -> bool {
    said.log().iter().any(|line| line.starts_with("WARN") && line.contains(what))
}

#[test]
fn terminated_it_goes_on_running_with_its_disks_and_snapshots() {
    for (action, message) in [("shutdown", TERMINATE), ("cancel", TERMINATE)] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        RecordedAction::load("snapshot_create", "snapshot_create").run(&host, &uuid).ok();
        protect(&host, &uuid);
        let protected = host.dump();
        let line = host.on_vm(action, message, &uuid).failure();
        assert!(line.contains("protected from deletion") && line.contains("vm-param-remove"), "{line}");
        host.is_as(&protected);
        unprotect(&host, &uuid);
        host.on_vm(action, message, &uuid).ok();
        host.is_as(&before);
    }
}

#[test]
fn by_hand_it_is_not_discarded_either() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    protect(&host, &uuid);
    let protected = host.dump();
    host.run("cancel", &[&uuid, "xcp-a", "1", "--discard"], b"").failure();
    host.is_as(&protected);
}

#[test]
fn powered_off_it_stays_and_the_next_deployment_uses_it_again() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    protect(&host, &uuid);
    host.write_vdi(&host.vdi_in(&uuid, "0"), 4096, b"written by the guest");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
    let file = std::fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert!(file[4096..].starts_with(b"written by the guest"));
    assert_eq!(host.deploy().ok(), uuid);
    assert!(host.vdi_bytes(&host.vdi_in(&uuid, "0"))[4096..].starts_with(b"written by the guest"));
    unprotect(&host, &uuid);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn protected_at_the_last_moment_it_keeps_its_disks() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let disks = disks(&host);
    host.sim(&["fail", "vm-uninstall", "--code", "OPERATION_BLOCKED"]);
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(line.contains("protected from deletion") && line.contains("OPERATION_BLOCKED"), "{line}");
    assert_eq!(self::disks(&host), disks);
}

#[test]
fn a_vm_whose_removal_is_refused_keeps_its_disks() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    let disks = disks(&host);
    for verb in ["vm-uninstall", "vm-destroy"] {
        host.sim(&["fail", verb, "--code", "OPERATION_NOT_ALLOWED"]);
    }
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(line.contains("stays in the pool with its disks"), "{line}");
    assert_eq!(self::disks(&host), disks);
    let vdi = host.vdi_in(&uuid, "0");
    let uuid = host.deploy().ok();
    assert_eq!(host.vdi_in(&uuid, "0"), vdi);
    assert_eq!(self::disks(&host), disks);
    assert!(host.xe(&["vdi-list", "params=name-label", "--minimal"]).contains("one-1-disk-2"));
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_vm_that_is_gone_when_its_removal_fails_is_removed() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.sim(&["fail", "vm-uninstall", "--after", "--code", "SR_BACKEND_FAILURE_46"]);
    let said = host.on_vm("shutdown", TERMINATE, &uuid);
    assert!(warns_of(&said, "SR_BACKEND_FAILURE_46"), "{said:?}");
    said.ok();
    host.is_as(&before);
}

#[test]
fn a_disk_that_cannot_go_keeps_neither_the_others_nor_the_record() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.sim(&["fail", "vm-uninstall", "--code", "INTERNAL_ERROR"]);
    host.sim(&["fail", "vdi-destroy", "--nth", "2", "--code", "SR_BACKEND_FAILURE_46"]);
    let line = host.on_vm("cancel", TERMINATE, &uuid).failure();
    assert!(line.starts_with("cancel: VDIs ") && line.contains(" are left"), "{line}");
    assert_eq!(host.xe(&["vm-list", &format!("uuid={uuid}"), "--minimal"]), "");
    assert_eq!(disks(&host).matches("one-1-disk").count(), 1);
    host.on_vm("cancel", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_disc_that_cannot_go_keeps_the_record_and_the_disks() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    let disks = disks(&host);
    host.sim(&["fail", "vdi-destroy", "--code", "SR_BACKEND_FAILURE_46"]);
    let line = host.on_vm("cancel", TERMINATE, &uuid).failure();
    assert!(line.contains(&format!("cannot remove VM {uuid}")) && line.contains(" are left"), "{line}");
    assert_eq!(self::disks(&host), disks);
    host.on_vm("cancel", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

/// The disks in the pool but the VM's context disc, which goes first and is made anew from OpenNebula's file.
fn disks(host: &Host) -> String {
    let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    let mut disks: Vec<&str> = names.split(',').filter(|name| *name != "one-1-disk-2").collect();
    disks.sort_unstable();
    disks.join(",")
}
