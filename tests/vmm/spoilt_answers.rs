//! Each call of each action answers what cannot be true, or fails together with all that would take back what was
//! done: no disk of the VM is lost, done again the action succeeds, and the administrator gets the pool as it was.

use crate::common::data_disk;
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Step, Wrong};
use crate::common::{Host, PROGRAM, Recorded, Said, said};
use std::fs;
use std::process::Command;

const WORDS: &[u8] = b"by the guest";

const WAYS: [Wrong; 5] = [
    Wrong::Spoilt("empty"),
    Wrong::RefusedFromThere,
    Wrong::Spoilt("cut"),
    Wrong::Spoilt("junk"),
    Wrong::Spoilt("short"),
];

/// Disk 0 is a persistent image, also where the VM ends.
fn persistent(name: &str) -> Recorded {
    Recorded::load(name).with("<SAVE><![CDATA[NO]]>", "<SAVE><![CDATA[YES]]>")
}

fn action(name: &'static str, recorded: &str) -> RecordedAction {
    RecordedAction { action: name, recorded: persistent(recorded) }
}

/// A running VM to whose disk 0 the guest has written.
fn written() -> (Host, String) {
    let host = Host::new();
    let recorded = persistent("deploy");
    let uuid = host.deploy_document(&recorded.argv[1], &recorded.stdin).ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, WORDS);
    (host, uuid)
}

/// In `disk.0`, or in a VDI that is told to be disk 0 and is no snapshot.
fn is_safe(host: &Host) -> bool {
    let in_file = fs::read(host.vm_folder(0, 1).join("disk.0"))
        .is_ok_and(|bytes| bytes.len() > 1 << 20 && bytes[1 << 20..].starts_with(WORDS));
    let vdis = host.xe(&["vdi-list", "name-label=one-1-disk-0", "is-a-snapshot=false", "--minimal"]);
    let mut vdis = vdis.split(',').filter(|vdi| !vdi.is_empty());
    in_file || vdis.any(|vdi| host.vdi_holds(vdi, 1 << 20, WORDS))
}

/// OpenNebula has the VM no more, and the administrator clears up with its list.
#[track_caller]
fn nothing_is_left(host: &Host, uuid: &str, empty_pool: &str, what: &Step) {
    _ = host.on_vm("cancel", "cancel", uuid);
    fs::create_dir_all(host.path("saved")).unwrap();
    let list = b"<VM_POOL><VM><ID>2</ID><STATE>1</STATE></VM></VM_POOL>";
    let mut gc = host.command(PROGRAM);
    let cleared = said(gc.args(["gc", "--vms-of", "-", "--yes", "--save-to", "saved"]), list);
    host.is_as_after(empty_pool, format_args!("{what:#?}\n{cleared:#?}"));
}

/// Runs an action on [`written`]'s VM with each call going wrong; `first` is where in [`WAYS`] it begins.
fn whatever_is_answered(first: usize, prepare: &dyn Fn(&Host, &str) -> RecordedAction, ends: bool) {
    let empty_pool = Host::new().dump();
    let (host, uuid) = written();
    let recorded = prepare(&host, &uuid);
    steps::each_call_in_turn(&host, &WAYS, first, &|host| recorded.command(host, &uuid), &|host, step| {
        assert!(is_safe(host), "disk 0 is lost: {step:#?}");
        let again = recorded.run(host, &uuid);
        let is_gone = ends && again.stderr.contains("the pool has no VM");
        assert!(again.code == Some(0) || is_gone, "done again: {again:#?} after {step:#?}");
        assert!(is_safe(host), "done again disk 0 is lost: {step:#?}");
        nothing_is_left(host, &uuid, &empty_pool, step);
    });
}

#[test]
fn deploy() {
    let host = Host::new();
    let empty_pool = host.dump();
    let recorded = persistent("deploy");
    let file = host.vm_folder(0, 1).join("deployment.0");
    let args = [file.to_str().unwrap(), "xcp-a", "1", "xcp-a"];
    let deploy = |host: &Host| -> (Command, Vec<u8>) { host.action("deploy", &args, &recorded.stdin) };
    steps::each_call_in_turn(&host, &WAYS, 0, &deploy, &|host, step| {
        let (mut command, stdin) = deploy(host);
        let again: Said = said(&mut command, &stdin);
        assert_eq!(again.code, Some(0), "done again: {again:#?} after {step:#?}");
        let uuid = again.stdout.trim();
        let named = host.xe(&["vm-list", "name-label=one-1", "--minimal"]);
        assert_eq!(named, uuid, "one VM: {step:#?}");
        assert_eq!(host.vdi_start(&host.vdi_in(uuid, "0")), "boot", "{step:#?}");
        nothing_is_left(host, uuid, &empty_pool, step);
    });
}

#[test]
fn shutdown_at_the_end() {
    whatever_is_answered(0, &|_, _| action("shutdown", "shutdown.3"), true);
}

#[test]
fn cancel_that_powers_off() {
    whatever_is_answered(2, &|_, _| action("cancel", "cancel"), true);
}

#[test]
fn save() {
    whatever_is_answered(0, &|_, _| action("save", "save.3"), false);
}

#[test]
fn attach_disk() {
    let prepare = |host: &Host, _: &str| {
        data_disk::make_file(host);
        data_disk::attach()
    };
    whatever_is_answered(0, &prepare, false);
}

#[test]
fn detach_disk() {
    let prepare = |host: &Host, uuid: &str| {
        data_disk::make_file(host);
        data_disk::attach().run(host, uuid).ok();
        data_disk::detach()
    };
    whatever_is_answered(0, &prepare, false);
}

#[test]
fn snapshot_create() {
    whatever_is_answered(0, &|_, _| action("snapshot_create", "snapshot_create"), false);
}

#[test]
fn migrate() {
    whatever_is_answered(1, &|_, _| action("migrate", "migrate"), false);
}
