//! `write_back`: the persistent disks of a VM whose guest has powered itself off are in their files.

use crate::common::data_disk;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, PROGRAM, Recorded, Said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::process::Command;

const WORDS: &[u8] = b"last words";

fn deploy(host: &Host) -> Said {
    let recorded = Recorded::load("deploy").with("<SAVE><![CDATA[NO]]>", "<SAVE><![CDATA[YES]]>");
    host.deploy_document(&recorded.argv[1], &recorded.stdin)
}

/// A VM with a persistent disk, whose guest has written to it and powered itself off.
fn off() -> (Host, String) {
    let host = Host::new();
    let uuid = deploy(&host).ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, WORDS);
    power_off(&host, &uuid);
    (host, uuid)
}

fn power_off(host: &Host, uuid: &str) {
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

fn command(host: &Host, uuid: &str) -> (Command, Vec<u8>) {
    let mut command = host.command(PROGRAM);
    command.args(["write_back", uuid, "1"]);
    (command, Vec::new())
}

fn run(host: &Host, uuid: &str) -> Said {
    host.one_xcp(&["write_back", uuid, "1"])
}

fn is_in_file(host: &Host) -> bool {
    let bytes = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    bytes.len() == 5 << 20 && bytes[1 << 20..].starts_with(WORDS)
}

#[test]
fn what_the_guest_wrote_last_is_in_the_file_and_the_next_deployment_goes_on_with_its_disk() {
    let (host, uuid) = off();
    let vdi = host.vdi_in(&uuid, "0");
    assert!(!is_in_file(&host));
    host.forget_calls();
    run(&host, &uuid).ok();
    assert_eq!(host.calls().len(), 5, "{:#?}", host.calls());
    assert!(is_in_file(&host));
    run(&host, &uuid).ok();
    assert!(is_in_file(&host));
    let next = deploy(&host);
    assert!(!next.stderr.contains("WARN"), "{next:?}");
    assert_eq!(host.vdi_in(&next.ok(), "0"), vdi);
}

#[test]
fn an_image_behind_a_link_is_replaced_and_the_link_stays() {
    let (host, uuid) = off();
    let (file, image) = (host.vm_folder(0, 1).join("disk.0"), host.path("image"));
    fs::rename(&file, &image).unwrap();
    symlink(&image, &file).unwrap();
    run(&host, &uuid).ok();
    assert!(is_in_file(&host) && file.is_symlink());
    assert!(fs::read(&image).unwrap()[1 << 20..].starts_with(WORDS));
}

#[test]
fn a_disk_that_was_attached_later_is_written_too() {
    let host = Host::new();
    let uuid = deploy(&host).ok();
    data_disk::make_file(&host);
    data_disk::attach().run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), 2 << 20, b"written by the guest");
    power_off(&host, &uuid);
    run(&host, &uuid).ok();
    data_disk::is_written_back(&host);
}

#[test]
fn after_a_migration_to_another_datastore_the_file_there_is_written() {
    let host = Host::new();
    let uuid = deploy(&host).ok();
    let message = Recorded::load("migrate")
        .with("datastores/0/1</DISK_TARGET_PATH>", "datastores/100/1</DISK_TARGET_PATH>")
        .with("<DS_ID>0</DS_ID>", "<DS_ID>100</DS_ID>");
    host.run("migrate", &[&uuid, "xcp-a", "xcp-a", "1", "xcp-a"], &message.stdin).ok();
    fs::remove_dir_all(host.vm_folder(0, 1)).unwrap();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, WORDS);
    power_off(&host, &uuid);
    run(&host, &uuid).ok();
    let bytes = fs::read(host.vm_folder(100, 1).join("disk.0")).unwrap();
    assert!(bytes[1 << 20..].starts_with(WORDS));
    let mark =
        host.xe(&["vm-param-get", &format!("uuid={uuid}"), "param-name=other-config", "param-key=one_ds_id"]);
    assert_eq!(mark, "100");
}

#[test]
fn a_vm_without_persistent_disks_has_nothing_to_write() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    power_off(&host, &uuid);
    let before = host.dump();
    run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn whose_disks_are_not_this_vms_to_write_is_refused() {
    let (host, uuid) = off();
    let refused = |says: &str, line: String| assert!(line.contains(says), "{line}");
    refused("made for OpenNebula's VM 2", host.one_xcp(&["write_back", &uuid, "2"]).failure());
    let before = host.dump();
    // The newer record has the same disks.
    let newer = deploy(&host).ok();
    refused("the pool has no VM", run(&host, &uuid).failure());
    refused("is running, not halted", run(&host, &newer).failure());
    power_off(&host, &newer);
    let marked = |value: &str| {
        let mark = format!("other-config:one_folder={value}");
        host.xe(&["vm-param-set", &format!("uuid={newer}"), &mark]);
        run(&host, &newer).failure()
    };
    for folder in ["/etc", "datastores/0/1", "/var/lib/one/datastores/0/2"] {
        refused("is no folder of VM 1", marked(folder));
    }
    refused("there is no folder /nowhere/1", marked("/nowhere/1"));
    let open = host.path("open");
    fs::create_dir_all(open.join("1")).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refused("everybody may write to", marked(open.join("1").to_str().unwrap()));
    assert!(!is_in_file(&host));
    assert_ne!(host.dump(), before);
}

#[test]
fn a_list_without_the_disk_is_not_believed() {
    let (host, uuid) = off();
    for answer in ["empty", "short"] {
        host.sim(&["fail", "vbd-list", "--nth", "1", "--answer", answer]);
        let said = run(&host, &uuid);
        host.sim(&["clear"]);
        assert_eq!(said.code == Some(0), is_in_file(&host), "{said:?}");
        assert!(answer != "empty" || said.code == Some(1), "{said:?}");
    }
    run(&host, &uuid).ok();
    assert!(is_in_file(&host));
}

#[test]
fn whatever_goes_wrong_the_file_is_whole_and_done_again_it_holds_all() {
    let (host, uuid) = off();
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];
    let old = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    steps::each_call(&host, &ways, &|host| command(host, &uuid), &|host, step| {
        let now = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
        assert!(now == old || is_in_file(host), "{step:#?}");
        assert!(step.said.code != Some(0) || is_in_file(host), "{step:#?}");
        run(host, &uuid).ok();
        assert!(is_in_file(host), "{step:#?}");
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), uuid);
    });
}
