//! `one-xcp gc`: what is taken for a leftover, what is not, and what becomes of it.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong, signal};
use crate::common::{Host, Recorded, Said, said};
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// OpenNebula has VM 5 and had VM 1.
const WITHOUT_VM_1: &[u8] = b"<VM_POOL><VM><ID>5</ID><STATE>3</STATE></VM></VM_POOL>";

fn gc(host: &Host, args: &[&str]) -> Said {
    host.one_xcp(&[&["gc"], args].concat())
}

/// With what OpenNebula has on standard input.
fn gc_of(host: &Host, list: &[u8], args: &[&str]) -> Said {
    said(host.command(crate::common::PROGRAM).args(["gc", "--vms-of", "-"]).args(args), list)
}

fn deploy_persistent(host: &Host) -> String {
    let recorded = Recorded::load("deploy").with("<SAVE><![CDATA[NO]]>", "<SAVE><![CDATA[YES]]>");
    host.deploy_document(&recorded.argv[1], &recorded.stdin).ok()
}

fn power_off(host: &Host, uuid: &str) {
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

fn deploy(host: &Host) -> (Command, Vec<u8>) {
    let file = host.vm_folder(0, 1).join("deployment.0");
    host.action("deploy", &[file.to_str().unwrap(), "xcp-a", "1", "xcp-a"], &Recorded::load("deploy").stdin)
}

#[test]
fn a_suspended_vm_that_may_be_nobodys_is_counted() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let unjudged = gc(&host, &[]);
    assert!(unjudged.stderr.contains("halted or suspended"), "{unjudged:?}");
    assert!(unjudged.stderr.contains("taken for wanted: 1 (--vms-of, --newest)"), "{unjudged:?}");
}

#[test]
fn a_pool_in_order_has_no_leftovers() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, b"1 5", &["--yes"]).ok(), "");
    power_off(&host, &uuid);
    assert_ne!(host.dump(), before);
    let before = host.dump();
    let unjudged = gc(&host, &["--yes"]);
    assert!(unjudged.stderr.contains("taken for wanted: 1 (--vms-of, --newest)"), "{unjudged:?}");
    assert_eq!(unjudged.ok(), "");
    // OpenNebula's, or younger than the list.
    assert_eq!(gc_of(&host, b"1", &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, b"0", &["--yes"]).ok(), "");
    host.is_as(&before);
}

#[test]
fn it_takes_few_calls_whatever_there_is() {
    let host = Host::with_pool(&["--vms", "200"]);
    host.forget_calls();
    gc(&host, &[]).ok();
    assert_eq!(host.calls().len(), 8, "{:#?}", host.calls());
}

#[test]
fn what_a_driver_killed_at_any_step_leaves_is_found_and_removed() {
    steps::each_call(&Host::new(), &[Wrong::Killed], &deploy, &|host, step| {
        let shown = gc(host, &[]).ok();
        let is_before = host.dump() == step.before;
        assert!(!is_before || shown.is_empty(), "{shown} after {step:#?}");
        gc(host, &["--yes"]).ok();
        let vm = host.xe(&["vm-list", "name-label=one-1", "--minimal"]);
        if vm.is_empty() {
            host.is_as_after(&step.before, format_args!("{shown} after {step:#?}"));
        } else {
            // It got to its end, or had all its disks: OpenNebula may want it.
            assert_eq!(host.xe(&["vbd-list", &format!("vm-uuid={vm}"), "--minimal"]).split(',').count(), 3);
        }
    });
}

#[test]
fn a_deployment_that_is_under_way_or_young_is_left_alone() {
    let host = Host::new();
    host.sim(&["hang", "vdi-import"]);
    let (mut command, stdin) = deploy(&host);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    crate::common::feed(&mut child, &stdin);
    while !host.calls().iter().any(|call| call.line.starts_with("vbd-create")) {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok(), "");
    signal(&child, "-KILL");
    child.wait().unwrap();
    let young = "1000000";
    let before = host.dump();
    assert_eq!(gc(&host, &["--yes", "--older-than", young]).ok(), "");
    host.is_as(&before);
    assert!(gc(&host, &[]).ok().starts_with("leftover VM "));
}

#[test]
fn a_record_without_a_mark_is_removed_and_a_namesake_is_not() {
    let host = Host::new();
    let install = |name: &str| {
        host.xe(&["vm-install", "template=Debian Bookworm 12", &format!("new-name-label={name}")])
    };
    let theirs = [install("one-7"), install("one-7-being-made-up"), install("one-8-being-made")];
    host.xe(&["vm-start", &format!("uuid={}", theirs[2])]);
    power_off(&host, &theirs[2]);
    let before = host.dump();
    let ours = install("one-7-being-made");
    let shown = gc(&host, &[]).ok();
    assert_eq!(
        shown,
        format!(
            "leftover VM {ours} of VM 7: a deployment was killed before it had marked it; --yes removes it"
        )
    );
    assert!(gc(&host, &["--yes"]).ok().starts_with(&format!("removed  VM {ours} ")));
    host.is_as(&before);
}

#[test]
fn a_vm_that_powered_itself_off_and_was_terminated_goes_with_its_disks() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    power_off(&host, &uuid);
    let shown = gc_of(&host, WITHOUT_VM_1, &[]).ok();
    assert!(shown.contains("it is halted, and OpenNebula has no such VM; --yes removes it"), "{shown}");
    gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    host.is_as(&before);
}

#[test]
fn a_persistent_disk_goes_only_after_it_was_saved() {
    let host = Host::new();
    let before = host.dump();
    let uuid = deploy_persistent(&host);
    let vdi = host.vdi_in(&uuid, "0");
    host.write_vdi(&vdi, 1 << 20, b"last words");
    power_off(&host, &uuid);
    let off = host.dump();
    let kept = gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    assert!(kept.starts_with("kept     VM ") && kept.contains("disk 0: it is a persistent image"), "{kept}");
    assert!(kept.ends_with("--save-to DIR writes it to a file first"), "{kept}");
    host.is_as(&off);
    let missing = gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "nowhere"]).failure();
    assert_eq!(missing, "gc: there is no folder nowhere to save disks in.");
    fs::create_dir(host.path("saved")).unwrap();
    let bytes = host.vdi_bytes(&vdi);
    gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "saved"]).ok();
    assert_eq!(fs::read(host.path(&format!("saved/one-1-disk-0-{vdi}.raw"))).unwrap(), bytes);
    assert_eq!(fs::read_dir(host.path("saved")).unwrap().count(), 1);
    host.is_as(&before);
}

#[test]
fn a_disk_that_cannot_be_saved_stays() {
    let host = Host::new();
    let uuid = deploy_persistent(&host);
    power_off(&host, &uuid);
    fs::create_dir(host.path("saved")).unwrap();
    let off = host.dump();
    host.sim(&["fail", "vdi-export", "--code", "VDI_IO_ERROR", "--params", "Device I/O errors", "--always"]);
    let failed = gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "saved"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.stdout.starts_with("failed   VM ") && failed.stdout.contains("VDI_IO_ERROR"),
        "{failed:?}"
    );
    assert!(failed.stderr.ends_with("gc: 1 of 1 leftovers could not be removed.\n"), "{failed:?}");
    host.is_as(&off);
    assert_eq!(fs::read_dir(host.path("saved")).unwrap().count(), 0);
}

#[test]
fn disks_whose_vm_is_gone_are_told_apart() {
    let host = Host::new();
    let uuid = deploy_persistent(&host);
    power_off(&host, &uuid);
    host.xe(&["vm-destroy", &format!("uuid={uuid}")]);
    let left = host.dump();
    let shown = gc(&host, &["--yes"]).ok();
    assert_eq!(shown.lines().filter(|line| line.starts_with("kept     VDI ")).count(), 3, "{shown}");
    assert_eq!(shown.matches("nobody told whether OpenNebula still has its VM").count(), 2, "{shown}");
    let shown = gc_of(&host, b"1", &["--yes"]).ok();
    assert_eq!(shown.matches("OpenNebula still has VM 1, and may miss what").count(), 2, "{shown}");
    host.is_as(&left);
    let shown = gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    assert_eq!(shown.matches("it may be a copy that somebody made of the disk").count(), 2, "{shown}");
    assert_eq!(shown.matches("disk 0: it is a persistent image").count(), 1, "{shown}");
    host.is_as(&left);
    fs::create_dir(host.path("saved")).unwrap();
    let removed = gc(&host, &["--yes", "--save-to", "saved"]).ok();
    assert_eq!(removed.matches("removed  VDI ").count(), 3, "{removed}");
    let saved = fs::read_dir(host.path("saved")).unwrap().flatten();
    let mut sizes: Vec<u64> = saved.map(|file| file.metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2 << 20, 6 << 20, 128 << 20]);
    assert_eq!(gc(&host, &[]).ok(), "");
}

#[test]
fn disks_that_a_newer_vm_has_taken_over_are_nobodys_leftovers() {
    let host = Host::new();
    let first = host.deploy().ok();
    power_off(&host, &first);
    let second = host.deploy().ok();
    assert_ne!(first, second);
    let before = host.dump();
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, b"1", &["--yes"]).ok(), "");
    host.is_as(&before);
}

#[test]
fn a_list_that_lacks_a_running_vm_is_not_believed() {
    let host = Host::with_pool(&["--vms", "2"]);
    let off = host.xe(&["vm-list", "name-label=one-1", "--minimal"]);
    power_off(&host, &off);
    let before = host.dump();
    let doubted = gc_of(&host, WITHOUT_VM_1, &["--yes"]);
    assert!(doubted.stderr.contains("WARN: VMs run that are not in the list"), "{doubted:?}");
    assert!(
        doubted.stdout.starts_with("kept     VM ") && doubted.stdout.contains("of VM 2: it runs, but"),
        "{doubted:?}"
    );
    assert_eq!(doubted.stdout.lines().count(), 1, "{doubted:?}");
    host.is_as(&before);
}

#[test]
fn lists_that_say_nothing_are_refused() {
    let host = Host::new();
    for list in
        [&b""[..], b"<VM_POOL/>", b"<IMAGE_POOL/>", b"one-1", b"<VM_POOL><VM><ID>x</ID></VM></VM_POOL>"]
    {
        gc_of(&host, list, &["--yes"]).failure();
    }
    assert!(gc(&host, &["--vms-of", "no-such-file"]).failure().contains("cannot read no-such-file"));
}

#[test]
fn copies_of_a_vm_and_snapshots_are_not_touched() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    power_off(&host, &uuid);
    host.xe(&["vm-copy", &format!("uuid={uuid}"), "new-name-label=mine"]);
    let snapshot = host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=backup"]);
    let before = host.dump();
    let kept = gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    assert!(kept.contains("it is in a snapshot that OpenNebula did not take, which may be"), "{kept}");
    host.is_as(&before);
    assert_eq!(kept.lines().count(), 1, "{kept}");
    host.xe(&["vm-destroy", &format!("uuid={uuid}")]);
    let kept = gc(&host, &["--yes"]).ok();
    let advice = format!(
        "it may be somebody's backup; if it is not: xe snapshot-uninstall uuid={snapshot} force=true"
    );
    assert!(kept.contains(&advice), "{kept}");
    let kept = gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    let line = format!("kept     snapshot {snapshot} of VM 1: the pool has its VM no more; disk");
    assert!(kept.contains(&line) && kept.contains("it is in a snapshot that OpenNebula"), "{kept}");
    assert_eq!(host.xe(&["snapshot-list", "--minimal"]), snapshot);
    assert!(!host.xe(&["vm-list", "name-label=mine", "--minimal"]).is_empty());
}

#[test]
fn a_memory_image_that_nothing_resumes_from_is_removed() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let before = host.dump();
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    let sr = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let create = |vm: &str| {
        let (sr, hint) = (format!("sr-uuid={sr}"), format!("sm-config:vmhint={vm}"));
        host.xe(&["vdi-create", &sr, &hint, "name-label=Suspend image", "type=suspend", "virtual-size=1GiB"])
    };
    let foreign = create(&host.xe(&["vm-list", "name-label=Mail server", "--minimal"]));
    let ours = create(&uuid);
    let shown = gc(&host, &["--yes"]).ok();
    let line = format!("removed  suspend image {ours} of VM 1: no VM and no snapshot can be resumed from it");
    assert_eq!(shown, line);
    host.xe(&["vdi-destroy", &format!("uuid={foreign}")]);
    host.is_as(&before);
}

#[test]
fn a_checkpoint_of_a_vm_that_nobody_has_is_removed() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    RecordedAction::load("save", "save.3").run(&host, &uuid).ok();
    let file = host.vm_folder(0, 1).join("checkpoint");
    let foreign = host.vm_folder(0, 2).join("checkpoint");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, "LibvirtQemudSave").unwrap();
    // The pool has the VM; then OpenNebula may have it in another pool; then neither.
    assert!(!gc_of(&host, WITHOUT_VM_1, &[]).ok().contains("checkpoint"));
    host.mark_as(&uuid, 2);
    let disc = host.xe(&["vdi-list", "name-label=one-1-disk-2", "--minimal"]);
    host.xe(&["vm-uninstall", &format!("uuid={uuid}"), "force=true"]);
    host.xe(&["vdi-destroy", &format!("uuid={disc}")]);
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, b"1 5", &["--yes"]).ok(), "");
    let line =
        format!("checkpoint {} of VM 1: OpenNebula has no such VM, and this pool neither", file.display());
    assert_eq!(gc_of(&host, WITHOUT_VM_1, &[]).ok(), format!("leftover {line}; --yes removes it"));
    assert!(file.exists());
    assert_eq!(gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok(), format!("removed  {line}"));
    assert!(!file.exists() && foreign.exists());
}

#[test]
fn a_suspended_vm_that_opennebula_has_no_more_goes_with_its_memory() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let suspended = host.dump();
    assert_eq!(gc(&host, &["--yes"]).ok(), "");
    assert_eq!(gc_of(&host, b"1 5", &["--yes"]).ok(), "");
    let line = format!("VM {uuid} of VM 1: it is suspended, and OpenNebula has no such VM");
    assert_eq!(gc_of(&host, WITHOUT_VM_1, &[]).ok(), format!("leftover {line}; --yes removes it"));
    host.is_as(&suspended);
    assert_eq!(gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok(), format!("removed  {line}"));
    host.is_as(&before);
}

#[test]
fn a_suspended_vms_persistent_disk_is_saved_first() {
    let host = Host::new();
    let before = host.dump();
    let uuid = deploy_persistent(&host);
    let vdi = host.vdi_in(&uuid, "0");
    host.write_vdi(&vdi, 1 << 20, b"last words");
    let bytes = host.vdi_bytes(&vdi);
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let suspended = host.dump();
    assert!(gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok().starts_with("kept     VM "));
    host.is_as(&suspended);
    fs::create_dir(host.path("saved")).unwrap();
    gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "saved"]).ok();
    assert_eq!(fs::read(host.path(&format!("saved/one-1-disk-0-{vdi}.raw"))).unwrap(), bytes);
    host.is_as(&before);
}

#[test]
fn a_vm_goes_with_opennebulas_snapshots_and_somebodys_are_saved_first() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    RecordedAction::load("snapshot_create", "snapshot_create").run(&host, &uuid).ok();
    power_off(&host, &uuid);
    let kept = host.keep();
    let removed = gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok();
    assert!(removed.starts_with("removed  VM ") && removed.lines().count() == 1, "{removed}");
    host.is_as(&before);
    host.put_back(&kept);
    let theirs = host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=backup"]);
    let with_theirs = host.dump();
    assert!(gc_of(&host, WITHOUT_VM_1, &["--yes"]).ok().starts_with("kept     VM "));
    host.is_as(&with_theirs);
    let vdi = host.vdi_in(&theirs, "0");
    fs::create_dir(host.path("saved")).unwrap();
    gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "saved"]).ok();
    assert!(host.path(&format!("saved/one-1-disk-0-{vdi}.raw")).exists());
    host.is_as(&before);
}

#[test]
fn a_disk_that_was_detached_from_a_removed_vm_goes_in_the_same_run() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    let vdi = host.vdi_in(&uuid, "0");
    power_off(&host, &uuid);
    let vbd = host.xe(&["vbd-list", &format!("vdi-uuid={vdi}"), "--minimal"]);
    host.xe(&["vbd-destroy", &format!("uuid={vbd}")]);
    fs::create_dir(host.path("saved")).unwrap();
    let removed = gc_of(&host, WITHOUT_VM_1, &["--yes", "--save-to", "saved"]).ok();
    assert!(
        removed.contains("removed  VM ") && removed.contains(&format!("removed  VDI {vdi}")),
        "{removed}"
    );
    assert!(!removed.contains("kept"), "{removed}");
    host.is_as(&before);
}

#[test]
fn json_says_the_same() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    power_off(&host, &uuid);
    assert_eq!(gc(&host, &["--json"]).ok(), "[]");
    let json = gc_of(&host, WITHOUT_VM_1, &["--json"]).ok();
    let start = format!("[\n{{\"is\":\"leftover\",\"kind\":\"VM\",\"uuid\":\"{uuid}\",\"vm_id\":1,\"why\":");
    assert!(json.starts_with(&start), "{json}");
}

#[test]
fn after_any_call_that_goes_wrong_it_can_be_repeated() {
    let host = Host::new();
    let before = host.dump();
    let uuid = deploy_persistent(&host);
    power_off(&host, &uuid);
    fs::create_dir(host.path("saved")).unwrap();
    let args = ["gc", "--vms-of", "-", "--yes", "--save-to", "saved"];
    let action = |host: &Host| {
        let mut command = host.command(crate::common::PROGRAM);
        command.args(args);
        (command, WITHOUT_VM_1.to_vec())
    };
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];
    steps::each_call(&host, &ways, &action, &|host, step| {
        let saved = || fs::read_dir(host.path("saved")).unwrap().flatten().map(|file| file.file_name());
        let is_whole = saved().any(|name| name.to_string_lossy().starts_with("one-1-disk-0-"));
        assert!(is_whole || !host.vdi_in(&uuid, "0").is_empty(), "neither saved nor there: {step:#?}");
        for _ in 0..2 {
            gc_of(host, WITHOUT_VM_1, &args[3..]).ok();
        }
        assert!(saved().any(|name| name.to_string_lossy().ends_with(".raw")), "{step:#?}");
        host.is_as_after(&before, format_args!("{step:#?}"));
    });
}
