//! XAPI is killed and starts with an older database: VMs are back that were removed, and others are gone.

use crate::common::{Host, PROGRAM, Recorded, Said, said};
use std::fs;

fn persistent() -> Recorded {
    Recorded::load("deploy").with("<SAVE><![CDATA[NO]]>", "<SAVE><![CDATA[YES]]>")
}

fn deploy(host: &Host, recorded: &Recorded) -> Said {
    host.deploy_document(&recorded.argv[1], &recorded.stdin)
}

fn has_words(host: &Host, vm: &str) -> bool {
    host.vdi_bytes(&host.vdi_in(vm, "0"))[1 << 20..].starts_with(b"last words")
}

/// A VM that was powered off, its disk in its file, and that XAPI brings back.
fn back_from_the_dead() -> (Host, String) {
    let host = Host::new();
    let uuid = deploy(&host, &persistent()).ok();
    host.sim(&["sync"]);
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"last words");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    host.sim(&["forget"]);
    assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
    (host, uuid)
}

fn vms(host: &Host) -> String {
    host.xe(&["vm-list", "name-label=one-1", "--minimal"])
}

#[track_caller]
fn tells_what_to_do(line: &str) {
    assert!(line.contains("SR_BACKEND_FAILURE_46"), "{line}");
    assert!(
        line.contains("xe sr-scan uuid=SR") && line.contains("one-xcp cancel DEPLOY_ID --discard"),
        "{line}"
    );
}

fn scan(host: &Host) {
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    host.xe(&["sr-scan", &format!("uuid={sr}")]);
}

fn gc(host: &Host) -> Said {
    let mut command = host.command(PROGRAM);
    command.args(["gc", "--yes", "--save-to", "saved", "--vms-of", "-"]);
    said(&mut command, b"5")
}

#[test]
fn a_vm_that_came_back_is_not_started_from_nothing_and_goes_on_with_its_file() {
    let (host, uuid) = back_from_the_dead();
    let before = host.dump();
    tells_what_to_do(&deploy(&host, &persistent()).failure());
    host.is_as(&before);
    scan(&host);
    let now = deploy(&host, &persistent()).ok();
    assert!(has_words(&host, &now) && now != uuid);
    assert_eq!(vms(&host), now);
}

#[test]
fn a_vm_that_came_back_can_be_given_up_by_hand() {
    let (host, uuid) = back_from_the_dead();
    host.one_xcp(&["cancel", &uuid, "--discard"]).ok();
    assert_eq!(vms(&host), "");
    let now = deploy(&host, &persistent()).ok();
    assert!(has_words(&host, &now));
}

#[test]
fn nothing_is_written_back_from_a_disk_that_is_not_there() {
    let (host, uuid) = back_from_the_dead();
    let before = host.dump();
    let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    for action in ["shutdown", "cancel"] {
        let line = host.on_vm(action, "shutdown", &uuid).failure();
        tells_what_to_do(&line);
        assert!(line.contains("the SR does not find VDI") && !line.contains("is safe"), "{line}");
    }
    host.is_as(&before);
    assert_eq!(fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap(), file);
}

#[test]
fn gc_removes_a_vm_that_came_back_and_opennebula_no_longer_has() {
    let (host, uuid) = back_from_the_dead();
    fs::create_dir(host.path("saved")).unwrap();
    let failed = gc(&host);
    assert!(failed.stdout.starts_with(&format!("failed   VM {uuid} of VM 1: ")), "{failed:?}");
    tells_what_to_do(&failed.stdout);
    assert_eq!(vms(&host), uuid);
    scan(&host);
    let removed = gc(&host).ok();
    assert!(removed.starts_with(&format!("removed  VM {uuid} of VM 1: ")), "{removed}");
    assert_eq!(vms(&host), "");
    assert_eq!(gc(&host).ok(), "");
}

#[test]
fn a_vm_that_xapi_has_forgotten_is_made_anew() {
    let host = Host::new();
    host.sim(&["sync"]);
    let uuid = deploy(&host, &persistent()).ok();
    host.sim(&["forget"]);
    assert_eq!(vms(&host), "");
    let now = deploy(&host, &persistent()).ok();
    assert_ne!(now, uuid);
    assert_eq!(vms(&host), now);
}

#[test]
fn a_record_that_was_replaced_comes_back_with_what_its_guest_wrote() {
    let host = Host::new();
    let uuid = deploy(&host, &persistent()).ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"last words");
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    host.sim(&["sync"]);
    let newer = deploy(&host, &persistent()).ok();
    assert_ne!(newer, uuid);
    host.sim(&["forget"]);
    assert_eq!(vms(&host), uuid);
    let now = deploy(&host, &persistent()).ok();
    assert!(has_words(&host, &now));
    assert_eq!(vms(&host), now);
}

#[test]
fn guests_that_xapi_knew_run_on() {
    let host = Host::new();
    let uuid = deploy(&host, &persistent()).ok();
    host.sim(&["sync"]);
    host.xe(&["vm-param-set", &format!("uuid={uuid}"), "name-description=later"]);
    host.sim(&["forget"]);
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
    assert_ne!(host.vm_param(&uuid, "name-description"), "later");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert_eq!(vms(&host), "");
}
