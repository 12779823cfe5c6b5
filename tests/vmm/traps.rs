//! What other software that drives XAPI has stumbled over, each as a test of the actions.
use crate::common::{Host, Recorded};
use std::fs;

const TERMINATE: &str = "shutdown.3";
const POWEROFF: &str = "shutdown";

/// The recorded deployment with something more in its template.
fn with_attribute(attribute: &str) -> Recorded {
    Recorded::load("deploy").with("<VCPU_MAX>", &format!("{attribute}<VCPU_MAX>"))
}

fn without_firmware() -> Recorded {
    Recorded::load("deploy").with("<FIRMWARE><![CDATA[UEFI]]></FIRMWARE>", "")
}

fn map_key(host: &Host, uuid: &str, map: &str, key: &str) -> String {
    let args = [format!("uuid={uuid}"), format!("param-name={map}"), format!("param-key={key}")];
    host.xe(&["vm-param-get", &args[0], &args[1], &args[2]])
}

/// One field of all the VM's VBDs that `filter` leaves.
fn vbds(host: &Host, vm: &str, filter: &str, field: &str) -> String {
    host.xe(&["vbd-list", &format!("vm-uuid={vm}"), filter, &format!("params={field}"), "--minimal"])
}

/// The `Local storage` of a host.
fn local_sr(host: &Host, name: &str) -> String {
    let uuid = host.xe(&["host-list", &format!("name-label={name}"), "--minimal"]);
    let all = host.xe(&["sr-list", "name-label=Local storage", "--minimal"]);
    let seen =
        |sr: &&str| host.xe(&["pbd-list", &format!("sr-uuid={sr}"), "params=host-uuid", "--minimal"]) == uuid;
    all.split(',').find(seen).unwrap().to_owned()
}

fn pool_uuid(host: &Host) -> String {
    host.xe(&["pool-list", "--minimal"])
}

/// A pool with a password, and the file that tells it.
fn host_for_storage_motion() -> Host {
    let host = Host::with_pool(&["--password", "secret"]);
    let file = host.path("password");
    fs::write(&file, "root\nsecret\n").unwrap();
    let local = local_sr(&host, "xcp-a");
    host.set("XE_PASSWORD_FILE", file.to_str().unwrap()).set("DEFAULT_SR", &local)
}

// One CD drive.

#[test]
fn a_second_cd_drive_is_never_made_as_guests_do_not_see_it() {
    let host = Host::new();
    let two_cds =
        Recorded::load("deploy").with("<TYPE><![CDATA[swap]]></TYPE>", "<TYPE><![CDATA[CDROM]]></TYPE>");
    let uuid = host.deploy_document("xcp-a", &two_cds.stdin).ok();
    assert_eq!(vbds(&host, &uuid, "type=CD", "vdi-name-label"), "one-1-disk-1");
    assert_eq!(vbds(&host, &uuid, "vdi-name-label=one-1-disk-2", "type"), "Disk");
    assert_eq!(vbds(&host, &uuid, "vdi-name-label=one-1-disk-2", "mode"), "RO");
    let vdi = host.vdi_in(&uuid, &vbds(&host, &uuid, "vdi-name-label=one-1-disk-2", "userdevice"));
    assert!(host.vdi_holds(&vdi, 32_808, b"CONTEXT"), "the label that one-context looks for");
}

#[test]
fn the_cd_drives_slot_stays_free_for_a_cd() {
    let host = Host::new().set("CONTEXT_DEVICE", "disk");
    let unnamed = Recorded::load("deploy")
        .with("<TARGET><![CDATA[xvda]]></TARGET>", "")
        .with("<TARGET><![CDATA[sdb]]></TARGET>", "")
        .with("<TARGET><![CDATA[sda]]></TARGET>", "");
    let uuid = host.deploy_document("xcp-a", &unnamed.stdin).ok();
    let mut places: Vec<String> =
        vbds(&host, &uuid, "type=Disk", "userdevice").split(',').map(str::to_owned).collect();
    places.sort();
    assert_eq!(places, ["0", "1", "2"]);
    assert!(host.vm_param(&uuid, "allowed-VBD-devices").split("; ").any(|device| device == "3"));
}

// The context disc is needed for longer than the first boot.

#[test]
fn the_context_disc_is_there_as_long_as_the_vm_runs() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let vdi = host.vdi_in(&uuid, "3");
    host.run("poll", &[&uuid, "xcp-a"], b"").ok();
    host.on_vm("migrate", "migrate", &uuid).ok();
    host.xe(&["vm-reboot", &format!("uuid={uuid}")]);
    host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).ok();
    assert_eq!(host.vdi_in(&uuid, "3"), vdi);
    assert!(host.vdi_holds(&vdi, 32_808, b"CONTEXT"));
}

// VCPUs, and how they are shown.

#[test]
fn more_vcpus_than_the_template_has_are_no_matter_of_order() {
    let host = Host::new();
    for (at_start, most) in [("8", "8"), ("1", "8"), ("1", "1")] {
        let document = Recorded::load("deploy")
            .with("<VCPU><![CDATA[2]]>", &format!("<VCPU><![CDATA[{at_start}]]>"))
            .with("<VCPU_MAX><![CDATA[4]]>", &format!("<VCPU_MAX><![CDATA[{most}]]>"));
        let uuid = host.deploy_document("xcp-a", &document.stdin).ok();
        assert_eq!(host.vm_param(&uuid, "VCPUs-at-startup"), at_start);
        assert_eq!(host.vm_param(&uuid, "VCPUs-max"), most);
        host.on_vm("shutdown", TERMINATE, &uuid).ok();
    }
}

#[test]
fn the_topology_is_told_through_platform() {
    let host = Host::new();
    let document = with_attribute("<TOPOLOGY><CORES>2</CORES><SOCKETS>2</SOCKETS></TOPOLOGY>");
    let uuid = host.deploy_document("xcp-a", &document.stdin).ok();
    assert_eq!(map_key(&host, &uuid, "platform", "cores-per-socket"), "2");

    let host = Host::new();
    let before = host.dump();
    let document = with_attribute("<TOPOLOGY><CORES>3</CORES></TOPOLOGY>");
    let line = host.deploy_document("xcp-a", &document.stdin).failure();
    assert!(line.contains("TOPOLOGY asks for 3 VCPUs a socket"), "{line}");
    host.is_as(&before);
}

// The firmware, of which templates have their own opinion.

#[test]
fn the_firmware_is_what_opennebula_says_whatever_the_templates_is() {
    let host = Host::new().set("TEMPLATE", "Windows Server 2022 (64-bit)");
    let uuid = host.deploy_document("xcp-a", &without_firmware().stdin).ok();
    assert_eq!(map_key(&host, &uuid, "HVM-boot-params", "firmware"), "bios");
    host.on_vm("shutdown", TERMINATE, &uuid).ok();

    let windows = without_firmware()
        .with("<USER_TEMPLATE>", "<USER_TEMPLATE><XCP_TEMPLATE>Windows Server 2022 (64-bit)</XCP_TEMPLATE>");
    let host = Host::new();
    let uuid = host.deploy_document("xcp-a", &windows.stdin).ok();
    assert_eq!(map_key(&host, &uuid, "HVM-boot-params", "firmware"), "bios");
}

#[test]
fn the_firmware_is_the_same_at_the_second_start() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let uuid = host.deploy_recorded("deploy.2").ok();
    assert_eq!(map_key(&host, &uuid, "HVM-boot-params", "firmware"), "uefi");
    assert_eq!(map_key(&host, &uuid, "platform", "secureboot"), "false");
}

// Templates with disks of their own.

#[test]
fn a_templates_own_disks_give_way_to_opennebulas() {
    let host = Host::new().set("TEMPLATE", "Debian Bookworm 12");
    let before = host.dump();
    let uuid = host.deploy().ok();
    let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    assert_eq!(host.vm_param(&uuid, "is-a-template"), "false");
    assert_eq!(vbds(&host, &uuid, "type=Disk", "vdi-name-label").split(',').count(), 2, "{names}");
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_templates_own_disks_need_no_default_sr_where_default_sr_is_set() {
    let host = Host::new();
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let pool = host.xe(&["pool-list", "--minimal"]);
    host.xe(&["pool-param-set", &format!("uuid={pool}"), "default-SR="]);
    let host = host.set("TEMPLATE", "Debian Bookworm 12").set("DEFAULT_SR", &sr);
    let before = host.dump();
    let uuid = host.deploy().ok();
    assert_eq!(vbds(&host, &uuid, "type=Disk", "vdi-name-label").split(',').count(), 2);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_templates_own_disks_go_with_a_deployment_that_fails() {
    let host = Host::new().set("TEMPLATE", "Debian Bookworm 12");
    let before = host.dump();
    for verb in ["vm-param-set", "vbd-list", "vdi-destroy", "vdi-create", "vm-start"] {
        host.sim(&["fail", verb, "--code", "INTERNAL_ERROR"]);
        host.deploy().failure();
        host.is_as(&before);
    }
}

#[test]
fn a_template_that_is_not_there_is_named_and_somebodys_vm_of_our_name_is_left_alone() {
    let host = Host::new().set("TEMPLATE", "No such template");
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let foreign = host.xe(&["vm-install", "template=Other install media", "new-name-label=one-1"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=theirs", "virtual-size=1GiB"]);
    host.xe(&["vbd-create", &format!("vm-uuid={foreign}"), &format!("vdi-uuid={vdi}"), "device=0"]);
    let before = host.dump();
    let line = host.deploy().failure();
    assert!(line.contains("No such template"), "{line}");
    host.is_as(&before);
    host.sim(&["fail", "vm-install", "--code", "INTERNAL_ERROR", "--after"]);
    let host = host.set("TEMPLATE", "Other install media");
    host.deploy().failure();
    host.is_as(&before);
}

// Guests without tools.

#[test]
fn a_guest_without_tools_is_told_of_in_words_when_it_cannot_be_migrated() {
    let host = Host::with_pool(&["--no-tools"]);
    let uuid = host.deploy().ok();
    let before = host.dump();
    let line = host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(line.contains("the guest has no running guest tools"), "{line}");
    host.is_as(&before);
    // A second try must not find a VM that is stuck.
    host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(host.run("poll", &[&uuid, "xcp-a"], b"").ok().starts_with("STATE=a"));
}

// What vm-uninstall takes, and what it leaves.

#[test]
fn no_disk_is_left_when_removing_in_one_call_fails() {
    for code in ["INTERNAL_ERROR", "VDI_IN_USE"] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        host.sim(&["fail", "vm-uninstall", "--code", code]);
        host.on_vm("shutdown", TERMINATE, &uuid).ok();
        host.is_as(&before);
    }
}

#[test]
fn a_vdi_that_is_still_held_after_the_shutdown_is_removed_a_moment_later() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.sim(&["fail", "vm-uninstall", "--code", "VDI_IN_USE"]);
    host.sim(&["fail", "vdi-destroy", "--code", "VDI_IN_USE", "--nth", "1"]);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_vdi_that_cannot_be_removed_is_found_again_when_the_action_is_repeated() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.sim(&["fail", "vm-uninstall", "--code", "INTERNAL_ERROR"]);
    host.sim(&["fail", "vdi-destroy", "--code", "INTERNAL_ERROR"]);
    host.on_vm("shutdown", TERMINATE, &uuid).failure();
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_disk_that_another_vm_uses_too_is_not_removed_with_ours() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=shared", "virtual-size=1GiB"]);
    for (vm, device) in [(&uuid, 7), (&host.xe(&["vm-list", "name-label=Mail server", "--minimal"]), 8)] {
        let args = [format!("vm-uuid={vm}"), format!("vdi-uuid={vdi}"), format!("device={device}")];
        host.xe(&["vbd-create", &args[0], &args[1], &args[2], "mode=RO"]);
    }
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    assert_eq!(host.xe(&["vdi-list", "name-label=shared", "--minimal"]), vdi);
    let mail = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    assert_eq!(host.vdi_in(&mail, "8"), vdi);
}

#[test]
fn a_vdi_that_is_still_in_use_right_after_the_shutdown_is_waited_for() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written by the guest");
    host.sim(&["fail", "vdi-export", "--code", "VDI_IN_USE", "--nth", "1"]);
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert!(file[1 << 20..].starts_with(b"written by the guest"));
    host.is_as(&before);
}

// Migration.

#[test]
fn changed_block_tracking_that_stands_in_the_way_is_told_of_in_words() {
    let host = host_for_storage_motion();
    let uuid = host.deploy().ok();
    let before = host.dump();
    // It is switched off where it is on; here a disk that shows none is in the way all the same.
    host.sim(&["fail", "vm-migrate", "--nth", "2", "--always", "--code", "VDI_CBT_ENABLED"]);
    let line = host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(line.contains("xe vdi-disable-cbt") && line.contains("VDI_CBT_ENABLED"), "{line}");
    host.is_as(&before);
}

#[test]
fn storage_migrations_that_wait_for_their_turn_get_it() {
    let host = host_for_storage_motion().set("XE_RETRY_PAUSE", "20");
    let uuid = host.deploy().ok();
    // The first asks without storage motion.
    host.sim(&["fail", "vm-migrate", "--nth", "2", "--code", "TOO_MANY_STORAGE_MIGRATES", "--params", "3"]);
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
}

#[test]
fn storage_that_the_destination_does_not_see_moves_and_the_rest_stays() {
    let host = host_for_storage_motion();
    let uuid = host.deploy().ok();
    // A data disk of an administrator's, on shared storage; another shared SR has more room.
    let nfs = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={nfs}"), "name-label=data", "virtual-size=1GiB"]);
    let vbd = host.xe(&["vbd-create", &format!("vm-uuid={uuid}"), &format!("vdi-uuid={vdi}"), "device=7"]);
    host.xe(&["vbd-plug", &format!("uuid={vbd}")]);
    let local = local_sr(&host, "xcp-a");
    let snapshot = host.xe(&["vdi-snapshot", &format!("uuid={}", host.vdi_in(&uuid, "0"))]);
    host.forget_calls();
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    let sr_of = |vdi: &str| host.xe(&["vdi-list", &format!("uuid={vdi}"), "params=sr-uuid", "--minimal"]);
    assert_ne!(sr_of(&host.vdi_in(&uuid, "0")), local);
    assert_eq!(sr_of(&vdi), nfs);
    assert_eq!(sr_of(&snapshot), local, "a snapshot's VDI is none of the VM's disks");
    let moved = host.calls().into_iter().rfind(|call| call.line.starts_with("vm-migrate")).unwrap().line;
    assert!(!moved.contains(&snapshot), "{moved}");
    // What is not named goes where xe thinks best, even if it could stay.
    assert!(moved.contains(&format!("vdi:{vdi}={nfs}")), "{moved}");
    let before_names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    assert!(before_names.contains("data"));
    assert_eq!(host.xe(&["vdi-list", "name-label=data", "--minimal"]), vdi);
}

#[test]
fn a_guests_writes_move_with_its_disk() {
    let host = host_for_storage_motion();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written on xcp-a");
    host.on_vm("migrate", "migrate", &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 2 << 20, b"written on xcp-b");
    host.on_vm("shutdown", POWEROFF, &uuid).ok();
    let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert!(file[1 << 20..].starts_with(b"written on xcp-a"));
    assert!(file[2 << 20..].starts_with(b"written on xcp-b"));
}

// Pools that are not ready.

#[test]
fn a_pool_without_a_default_sr_is_said_to_be_so_and_left_as_it_was() {
    let host = Host::new();
    host.xe(&["pool-param-set", &format!("uuid={}", pool_uuid(&host)), "default-SR="]);
    let before = host.dump();
    let line = host.deploy().failure();
    assert!(line.contains("the pool has no default SR") && line.contains("DEFAULT_SR in xcprc"), "{line}");
    host.is_as(&before);
    let nfs = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    host.set("DEFAULT_SR", &nfs).deploy().ok();
}

#[test]
fn a_disabled_host_is_said_to_be_so_and_the_pool_is_left_as_it_was() {
    let host = Host::new();
    host.xe(&["host-disable", "name-label=xcp-a"]);
    let before = host.dump();
    let line = host.deploy().failure();
    assert!(line.contains("HOST_DISABLED"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_full_sr_is_said_to_be_so_and_the_pool_is_left_as_it_was() {
    let host = Host::new();
    let before = host.dump();
    let full = ["--code", "SR_BACKEND_FAILURE_44", "--params", ",There is insufficient space,"];
    host.sim(&[&["fail", "vdi-create"], &full[..]].concat());
    let line = host.deploy().failure();
    assert!(line.contains("insufficient space"), "{line}");
    host.is_as(&before);
}

// What passes.

#[test]
fn what_is_busy_for_a_moment_is_asked_again() {
    let host = Host::new();
    let before = host.dump();
    let busy = ["--code", "OTHER_OPERATION_IN_PROGRESS", "--params", "VM,OpaqueRef:1"];
    for verb in ["vm-list", "vm-install", "vdi-create", "vdi-import", "vbd-create", "vm-start"] {
        host.sim(&[&["fail", verb], &busy[..]].concat());
        let uuid = host.deploy().ok();
        host.on_vm("shutdown", TERMINATE, &uuid).ok();
    }
    for verb in ["vm-shutdown", "vdi-export", "vm-uninstall"] {
        let uuid = host.deploy().ok();
        host.sim(&[&["fail", verb], &busy[..]].concat());
        host.on_vm("shutdown", POWEROFF, &uuid).ok();
        host.is_as(&before);
    }
    let uuid = host.deploy().ok();
    host.sim(&[&["fail", "vm-migrate"], &busy[..]].concat());
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
}

// The state decides, not the record.

#[test]
fn a_vm_whose_host_died_is_not_started_a_second_time() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    let line = host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).failure();
    assert!(line.contains("is running in the pool") && line.contains("not started twice"), "{line}");
    host.is_as(&before);
    assert_eq!(host.host_of(&uuid), "xcp-a");
}

#[test]
fn shadow_memory_is_never_less_than_the_guest_needs() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let multiplier: f64 = host.vm_param(&uuid, "HVM-shadow-multiplier").parse().unwrap();
    assert!(multiplier >= 1.0, "{multiplier}");
}

// What is in a CD drive is not always what the driver put there.

/// Ejects the context disc and puts a disc of XAPI's tools SR into its drive; gives back that disc.
fn put_tools_into_the_drive(host: &Host, uuid: &str) -> String {
    let sr = host.xe(&["sr-list", "name-label=XenServer Tools", "--minimal"]);
    let tools = host.xe(&["vdi-list", &format!("sr-uuid={sr}"), "--minimal"]);
    let tools = tools.split(',').next().unwrap().to_owned();
    let drive = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]);
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-insert", &format!("uuid={drive}"), &format!("vdi-uuid={tools}")]);
    tools
}

/// Marks the VM's CD drive as releases did that let `vm-uninstall` remove the context disc.
fn mark_drive_as_older_releases(host: &Host, uuid: &str) {
    let drive =
        format!("uuid={}", host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]));
    host.xe(&["vbd-param-set", &drive, "other-config:owner="]);
    host.xe(&["vbd-param-remove", &drive, "param-name=other-config", "param-key=one_inserted"]);
}

#[test]
fn a_foreign_disc_in_the_drive_stays_and_the_context_disc_goes() {
    for (action, message) in [("shutdown", TERMINATE), ("cancel", "cancel")] {
        for is_old in [false, true] {
            let host = Host::new();
            let before = host.dump();
            let uuid = host.deploy().ok();
            if is_old {
                mark_drive_as_older_releases(&host, &uuid);
            }
            put_tools_into_the_drive(&host, &uuid);
            host.on_vm(action, message, &uuid).ok();
            host.is_as(&before);
        }
    }
}

#[test]
fn an_ejected_context_disc_goes_with_the_vm() {
    for is_old in [false, true] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        if is_old {
            mark_drive_as_older_releases(&host, &uuid);
        }
        let drive = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]);
        host.xe(&["vbd-eject", &format!("uuid={drive}")]);
        host.on_vm("shutdown", TERMINATE, &uuid).ok();
        host.is_as(&before);
    }
}

#[test]
fn a_vm_of_an_older_release_leaves_nothing() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    mark_drive_as_older_releases(&host, &uuid);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_cd_drive_is_never_marked_to_take_its_disc_along() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let drive = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "--minimal"]);
    let marks = host.xe(&["vbd-param-get", &format!("uuid={drive}"), "param-name=other-config"]);
    assert!(marks.contains("one_disk_id") && !marks.contains("owner"), "{marks}");
}

#[test]
fn a_vm_that_is_protected_from_deletion_keeps_all_of_its_disks() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    let disks = host.xe(&["vdi-list", "params=uuid", "--minimal"]);
    host.xe(&["vm-param-set", &format!("uuid={uuid}"), "blocked-operations:destroy=true"]);
    let line = host.on_vm("shutdown", TERMINATE, &uuid).failure();
    assert!(
        line.contains("protected from deletion") && line.contains("blocked-operations:destroy"),
        "{line}"
    );
    assert_eq!(host.xe(&["vdi-list", "params=uuid", "--minimal"]), disks);
    host.xe(&["vm-param-clear", &format!("uuid={uuid}"), "param-name=blocked-operations"]);
    host.on_vm("shutdown", TERMINATE, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_vm_that_is_off_although_xapi_reports_an_error_is_powered_off() {
    for (action, message) in [("shutdown", TERMINATE), ("cancel", "cancel")] {
        let host = Host::new();
        let before = host.dump();
        let uuid = host.deploy().ok();
        host.sim(&["fail", "vm-shutdown", "--after", "--code", "INTERNAL_ERROR"]);
        let said = host.on_vm(action, message, &uuid);
        let is_named =
            said.log().iter().any(|line| line.starts_with("WARN") && line.contains("INTERNAL_ERROR"));
        assert!(is_named, "{said:?}");
        said.ok();
        host.is_as(&before);
    }
}
