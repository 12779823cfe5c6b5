//! What the module for Sunstone offers for a VM of an XCP host, against the scripts that there are for it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

const MODULE: &str = include_str!("../sunstone/XcpModule/remoteEntry.js");

/// Sunstone's actions, in every release's spelling, by the scripts that OpenNebula calls for them.
const NEEDED: [(&[&str], &[&str]); 19] = [
    // OpenNebula's own, and connections to the guest's address.
    (&["hold", "release", "recover", "resched", "unresched", "lock", "unlock", "rename"], &[]),
    (&["chmod", "chown", "chgrp", "charter_create", "ssh", "rdp", "file_rdp"], &[]),
    (&["sched-add", "sched-update", "sched-delete"], &[]),
    (&["sched_action_create", "sched_action_update", "sched_action_delete"], &[]),
    (&["pci-attach", "pci-detach"], &["deploy"]),
    (&["deploy", "vnc", "file_virt_viewer"], &["deploy"]),
    (&["terminate", "poweroff", "undeploy"], &["shutdown"]),
    (&["terminate-hard", "poweroff-hard", "undeploy-hard"], &["cancel"]),
    (&["terminate_hard", "poweroff_hard", "undeploy_hard"], &["cancel"]),
    (&["reboot", "reboot-hard", "reboot_hard"], &["reboot", "reset"]),
    (&["suspend", "stop", "resume", "migrate"], &["save", "restore", "deploy"]),
    (&["live-migrate", "migrate_live"], &["migrate"]),
    (
        &["poweroff-migrate", "migrate_poff", "poweroff-hard-migrate", "migrate_poff_hard"],
        &["shutdown", "cancel", "deploy"],
    ),
    (&["resize", "resize_capacity", "update_configuration"], &["resize", "prereconfigure", "reconfigure"]),
    (
        &[
            "disk-attach",
            "disk-attach-image",
            "disk-attach-volatile",
            "attach_disk",
            "disk-detach",
            "detach_disk",
            "disk-resize",
            "resize_disk",
        ],
        &["attach_disk", "detach_disk", "resize_disk"],
    ),
    (
        &["nic-attach", "nic-attach-alias", "attach_nic", "nic-detach", "detach_nic"],
        &["attach_nic", "detach_nic"],
    ),
    (&["nic-update", "sg-attach", "sg-detach"], &["vnm/xcp/update_nic", "vnm/xcp/update_sg"]),
    (
        &[
            "snapshot-create",
            "snapshot-revert",
            "snapshot-delete",
            "snapshot_create",
            "snapshot_revert",
            "snapshot_delete",
        ],
        &["snapshot_create", "snapshot_revert", "snapshot_delete"],
    ),
    (
        &[
            "disk-snapshot-create",
            "disk-snapshot-rename",
            "disk-snapshot-revert",
            "disk-snapshot-delete",
            "snapshot-disk-create",
            "snapshot-disk-rename",
            "snapshot-disk-revert",
            "snapshot-disk-delete",
            "snapshot_disk_create",
            "snapshot_disk_rename",
            "snapshot_disk_revert",
            "snapshot_disk_delete",
        ],
        &["tm/xcp/snap_create_live", "tm/xcp/snap_revert", "tm/xcp/snap_delete"],
    ),
];

fn offered() -> Vec<&'static str> {
    let list = |name: &str| {
        let (_, list) = MODULE.split_once(name).unwrap();
        let (list, _) = list.split_once("];").unwrap();
        list.split('\'').skip(1).step_by(2)
    };
    list("const supported = [").chain(list("const live = [")).collect()
}

#[test]
fn each_is_known_and_offered_once() {
    let known: BTreeSet<&str> = NEEDED.iter().flat_map(|(actions, _)| *actions).copied().collect();
    let offered = offered();
    assert_eq!(offered.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(offered.len(), known.len());
}

#[test]
fn each_has_its_scripts() {
    let output = Command::new(env!("CARGO_BIN_EXE_one-xcp")).arg("links").output().unwrap();
    let links = String::from_utf8(output.stdout).unwrap();
    let links: BTreeSet<&str> =
        links.lines().map(|link| link.strip_prefix("vmm/xcp/").unwrap_or(link)).collect();
    for (actions, scripts) in NEEDED {
        for script in scripts {
            assert!(links.contains(script), "{script}, for {actions:?}");
        }
    }
}

/// install.sh takes the function out by its marks, into one line of FireEdge 6.
#[test]
fn the_function_that_goes_into_fireedge_6_can_stand_in_one_line() {
    let (_, part) = MODULE.split_once(">>> xcpActions").unwrap();
    let (part, _) = part.split_once("<<< xcpActions").unwrap();
    assert_eq!(MODULE.matches("xcpActions: install.sh").count(), 1);
    assert!(
        !part.contains("//") && !part.contains('`'),
        "a comment to the line's end, or a text of several lines"
    );
    assert!(part.contains("function xcpActions(kvm) {"));
}
