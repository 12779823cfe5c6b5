//! `shutdown` and `cancel`, through their links, with what a real oned sent.
use crate::common::{Host, Recorded};
use std::fs;

/// What OpenNebula calls the recorded messages.
const POWEROFF: &str = "shutdown";
const UNDEPLOY: &str = "shutdown.2";
const TERMINATE: &str = "shutdown.3";

fn nothing_is_left(host: &Host) {
    assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), "");
    let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    assert!(!names.contains("one-1-"), "{names}");
}

#[test]
fn a_terminated_vm_leaves_nothing_in_the_pool_and_its_files_alone() {
    let host = Host::new();
    let before = host.dump();
    let file = host.vm_folder(0, 1).join("disk.0");
    let bytes = fs::read(&file).unwrap();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"not wanted any more");
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
    assert!(fs::read(&file).unwrap() == bytes);
}

#[test]
fn powered_off_or_undeployed_the_guests_writes_are_in_the_file() {
    for (action, message) in
        [("shutdown", POWEROFF), ("shutdown", UNDEPLOY), ("cancel", "cancel"), ("cancel", "cancel.2")]
    {
        let host = Host::new();
        let before = host.dump();
        let file = host.vm_folder(0, 1).join("disk.0");
        let mut expected = fs::read(&file).unwrap();
        let uuid = host.deploy().ok();
        host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written by the guest");
        host.on_vm(action, message, &uuid).ok();
        expected[1 << 20..][..20].copy_from_slice(b"written by the guest");
        assert!(fs::read(&file).unwrap() == expected, "{message}: disk.0 is not what the guest left");
        host.is_as_after(&before, format_args!("{message}"));
        let names: Vec<_> =
            fs::read_dir(host.vm_folder(0, 1)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}

#[test]
fn a_persistent_disk_is_written_back_even_when_the_vm_is_terminated() {
    let host = Host::new();
    let persistent =
        Recorded::load(TERMINATE).with("<SAVE><![CDATA[NO]]></SAVE>", "<SAVE><![CDATA[YES]]></SAVE>");
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"for ever");
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &persistent.stdin).ok();
    assert!(fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap()[1 << 20..].starts_with(b"for ever"));
    nothing_is_left(&host);
}

#[test]
fn a_persistent_image_that_is_a_link_is_written_through_it() {
    let host = Host::new();
    let image = host.path("image");
    fs::rename(host.vm_folder(0, 1).join("disk.0"), &image).unwrap();
    std::os::unix::fs::symlink(&image, host.vm_folder(0, 1).join("disk.0")).unwrap();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"in the image");
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    assert!(fs::read(&image).unwrap()[1 << 20..].starts_with(b"in the image"));
    assert!(fs::symlink_metadata(host.vm_folder(0, 1).join("disk.0")).unwrap().is_symlink());
}

#[test]
fn a_vm_that_is_gone_is_success() {
    let host = Host::new();
    let before = host.dump();
    for action in ["shutdown", "cancel"] {
        let said = host.on_vm(action, action, "11111111-2222-3333-4444-000000000001");
        assert!(said.stderr.contains("nothing to do"), "{said:?}");
        said.ok();
        host.on_vm(action, action, "-").ok();
    }
    host.is_as(&before);
}

#[test]
fn repeated_it_is_success() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    nothing_is_left(&host);
}

#[test]
fn no_data_is_lost_whichever_step_fails() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"precious");
    let kept = host.keep();
    host.forget_calls();
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    let calls = host.calls().len();
    for nth in 1..=calls {
        for after in [false, true] {
            host.put_back(&kept);
            let nth = nth.to_string();
            let mut fault = vec!["fail", "any", "--nth", &nth, "--code", "INTERNAL_ERROR"];
            fault.extend(after.then_some("--after"));
            host.sim(&fault);
            let first = host.on_vm("shutdown", POWEROFF, &uuid);
            host.sim(&["clear"]);
            let in_file =
                || fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap()[1 << 20..].starts_with(b"precious");
            let in_pool = || {
                let vdi = host.vdi_in(&uuid, "0");
                !vdi.is_empty() && host.vdi_holds(&vdi, 1 << 20, b"precious")
            };
            assert!(
                in_file() || in_pool(),
                "call {nth}, after {after}: the guest's data is gone: {first:#?}"
            );
            host.on_vm("shutdown", POWEROFF, &uuid).ok();
            assert!(in_file(), "call {nth}, after {after}: {first:#?}");
            nothing_is_left(&host);
        }
    }
}

#[test]
fn a_shared_datastore_that_is_not_mounted_is_seen_before_the_guest_is_off() {
    let host = Host::new();
    let shared =
        Recorded::load(POWEROFF).with("<SHARED><![CDATA[NO]]></SHARED>", "<SHARED><![CDATA[YES]]></SHARED>");
    let uuid = host.deploy().ok();
    let before = host.dump();
    let folder = host.vm_folder(0, 1);
    fs::rename(&folder, host.path("elsewhere")).unwrap();
    for action in ["shutdown", "cancel"] {
        let line = host.run(action, &[&uuid, "xcp-a", "1", "xcp-a"], &shared.stdin).failure();
        assert!(line.contains("there is no folder") && line.contains("mounted"), "{line}");
        host.is_as(&before);
        assert!(!folder.exists(), "nothing is written below a mount point");
    }
    fs::rename(host.path("elsewhere"), &folder).unwrap();
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &shared.stdin).ok();
    nothing_is_left(&host);
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_vm_and_says_where_its_data_is() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let file = host.vm_folder(0, 1).join("disk.0");
    fs::rename(&file, host.path("elsewhere")).unwrap();
    fs::create_dir(&file).unwrap();
    let line = host.on_vm("shutdown", POWEROFF, &uuid).failure();
    assert!(line.contains(&format!("its data is safe in VDI {}", host.vdi_in(&uuid, "0"))), "{line}");
    assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
    fs::remove_dir(&file).unwrap();
    fs::rename(host.path("elsewhere"), &file).unwrap();
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    nothing_is_left(&host);
}

#[test]
fn a_guest_without_tools_is_forced_and_the_log_says_so() {
    let host = Host::with_pool(&["--no-tools"]);
    let uuid = host.deploy().ok();
    let said = host.on_vm("shutdown", TERMINATE, &uuid);
    assert!(
        said.log().iter().any(|line| line.starts_with("WARN: the guest has no running guest tools")),
        "{said:?}"
    );
    said.ok();
    nothing_is_left(&host);

    let host = Host::with_pool(&["--no-tools"]).set("NO_TOOLS_SHUTDOWN", "fail");
    let uuid = host.deploy().ok();
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(line.contains("VM_LACKS_FEATURE") && line.contains("no running guest tools"), "{line}");
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
}

#[test]
fn a_guest_that_hangs_fails_the_action_unless_force_is_set() {
    let host = Host::new().set("SHUTDOWN_TIMEOUT", "1");
    let uuid = host.deploy().ok();
    host.sim(&["guest", &uuid, "tools=hang"]);
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(
        line.contains("the guest did not power off within 1 s; power it off hard, or set FORCE"),
        "{line}"
    );
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
    let host = host.set("FORCE_SHUTDOWN", "yes");
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    nothing_is_left(&host);
}

#[test]
fn a_paused_vm_is_refused_with_what_to_do_and_goes_when_it_is_given_up() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(line.contains("is paused") && line.contains("xe vm-unpause"), "{line}");
    assert_eq!(host.vm_param(&uuid, "power-state"), "paused");
    host.mark_as(&uuid, 2);
    host.on_vm("cancel", "cancel.3", &uuid).ok();
    assert_ne!(host.xe(&["vm-list", &format!("uuid={uuid}"), "params=power-state", "--minimal"]), "paused");
}

#[test]
fn a_disk_that_somebody_else_attached_stays() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=backups", "virtual-size=1GiB"]);
    let vbd = host.xe(&["vbd-create", &format!("vm-uuid={uuid}"), &format!("vdi-uuid={vdi}"), "device=7"]);
    host.xe(&["vbd-param-set", &format!("uuid={vbd}"), "other-config:owner="]);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    assert_eq!(host.xe(&["vdi-list", "name-label=backups", "--minimal"]), vdi);
    nothing_is_left(&host);
}

#[test]
fn by_hand_without_a_message_all_of_it_is_kept() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let said = host.one_xcp(&["shutdown", &uuid]);
    assert!(said.stderr.contains("stays in the pool"), "{said:?}");
    said.ok();
    assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
    let before = host.dump();
    let line = host.one_xcp(&["cancel", &uuid, "xcp-a", "2", "--discard"]).failure();
    let words = format!("cancel: DEPLOY_ID {uuid} is OpenNebula's VM 1, and not VM 2: nothing was changed");
    assert!(line.starts_with(&words), "{line}");
    host.is_as(&before);
    host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=of-it"]);
    host.one_xcp(&["cancel", &uuid, "xcp-a", "1", "--discard"]).ok();
    nothing_is_left(&host);
}

/// One whose disks are all somebody else's has nothing of ours to lose, but has itself and its snapshots.
#[test]
fn by_hand_no_vm_of_others_is_removed() {
    let host = Host::new();
    let uuid = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    let snapshot = host.xe(&["vm-snapshot", &format!("uuid={uuid}"), "new-name-label=of-it"]);
    let before = host.dump();
    let line = host.one_xcp(&["cancel", &uuid, "--discard"]).failure();
    assert!(line.contains("was not made for OpenNebula") && line.contains("xe vm-uninstall"), "{line}");
    host.is_as(&before);
    for action in ["shutdown", "cancel"] {
        let said = host.one_xcp(&[action, &uuid]);
        assert!(said.stderr.contains("stays in the pool"), "{said:?}");
        said.ok();
        assert_eq!(host.vm_param(&uuid, "power-state"), "halted");
        assert_eq!(host.xe(&["snapshot-list", "--minimal"]), snapshot);
    }
}
