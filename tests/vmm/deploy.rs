//! `deploy`, through its link, with what a real oned sent.
use crate::common::{Host, Recorded};
use std::fs;

#[test]
fn the_recorded_vm_runs_as_its_document_says() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let expected = [
        ("power-state", "running"),
        ("name-label", "one-1"),
        ("name-description", "web server 1"),
        ("VCPUs-max", "4"),
        ("VCPUs-at-startup", "2"),
        ("memory-static-max", "1073741824"),
        ("memory-dynamic-max", "536870912"),
        ("memory-dynamic-min", "536870912"),
    ];
    for (field, value) in expected {
        assert_eq!(host.vm_param(&uuid, field), value, "{field}");
    }
    let key = |map: &str, key: &str| {
        let args = [format!("uuid={uuid}"), format!("param-name={map}"), format!("param-key={key}")];
        host.xe(&["vm-param-get", &args[0], &args[1], &args[2]])
    };
    assert_eq!(key("VCPUs-params", "weight"), "128");
    assert_eq!(key("HVM-boot-params", "order"), "cn");
    assert_eq!(key("HVM-boot-params", "firmware"), "uefi");
    assert_eq!(key("platform", "viridian"), "true");
    assert_eq!(key("platform", "acpi"), "1");
    assert_eq!(key("other-config", "one_vm_id"), "1");
    assert_eq!(key("other-config", "one_os_uuid"), "3c1c159b-2cd2-4428-9684-07110b6908c4");
    let host_b = host.xe(&["vm-list", &format!("uuid={uuid}"), "params=resident-on", "--minimal"]);
    assert_eq!(host.xe(&["host-list", &format!("uuid={host_b}"), "params=name-label", "--minimal"]), "xcp-a");
}

#[test]
fn the_disks_hold_the_files_bytes() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    for (device, file) in [("0", "disk.0"), ("1", "disk.1"), ("3", "disk.2")] {
        let bytes = host.vdi_bytes(&host.vdi_in(&uuid, device));
        let original = fs::read(host.vm_folder(0, 1).join(file)).unwrap();
        assert!(
            bytes.len() >= original.len() && bytes.len() < original.len() + (2 << 20),
            "{file}: {}",
            bytes.len()
        );
        assert!(bytes[..original.len()] == original, "{file} differs");
        assert!(
            bytes[original.len()..].iter().all(|byte| *byte == 0),
            "{file}: more than zeros after its end"
        );
    }
}

#[test]
fn the_context_disc_is_a_cd_and_a_read_only_disk_when_the_drive_is_taken() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let cd = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "type=CD", "params=userdevice", "--minimal"]);
    assert_eq!(cd, "3");

    let host = Host::new();
    let with_cd =
        Recorded::load("deploy").with("<TYPE><![CDATA[swap]]></TYPE>", "<TYPE><![CDATA[CDROM]]></TYPE>");
    let uuid = host.deploy_document("xcp-a", &with_cd.stdin).ok();
    let filters =
        [format!("vm-uuid={uuid}"), "type=CD".to_owned(), "type=Disk".to_owned(), "mode=RO".to_owned()];
    let cd = host.xe(&["vbd-list", &filters[0], &filters[1], "params=vdi-name-label", "--minimal"]);
    assert_eq!(cd, "one-1-disk-1");
    let context =
        host.xe(&["vbd-list", &filters[0], &filters[2], &filters[3], "params=vdi-name-label", "--minimal"]);
    assert_eq!(context, "one-1-disk-2");
}

#[test]
fn a_nic_has_its_mac_and_its_network() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let filter = format!("vm-uuid={uuid}");
    assert_eq!(host.xe(&["vif-list", &filter, "params=MAC", "--minimal"]), "02:00:c0:a8:0a:0a");
    let network = host.xe(&["vif-list", &filter, "params=network-uuid", "--minimal"]);
    assert_eq!(
        host.xe(&["network-list", &format!("uuid={network}"), "params=bridge", "--minimal"]),
        "xenbr0"
    );
}

#[test]
fn called_again_for_a_running_vm_it_answers_the_same_vm() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    let again = host.deploy();
    assert!(again.stderr.contains("already runs"), "{again:?}");
    assert_eq!(again.ok(), uuid);
    host.is_as(&before);
}

#[test]
fn after_the_guest_powered_itself_off_its_writes_are_kept() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let vdi = host.vdi_in(&uuid, "0");
    host.write_vdi(&vdi, 1 << 20, b"written by the guest");

    let again = host.deploy_recorded("deploy.2").ok();
    assert_ne!(again, uuid);
    assert_eq!(host.xe(&["vm-list", "name-label=one-1", "params=uuid", "--minimal"]), again);
    let vdi = host.vdi_in(&again, "0");
    assert!(host.vdi_holds(&vdi, 1 << 20, b"written by the guest"));
    let names = host.xe(&["vdi-list", "params=name-label", "--minimal"]);
    assert_eq!(names.matches("one-1-disk-2").count(), 1, "the old context disc is left: {names}");
}

#[test]
fn a_vm_that_ran_is_never_taken_for_the_remains_of_a_deployment() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written by the guest");
    let swap = host.xe(&["vbd-list", &format!("vm-uuid={uuid}"), "userdevice=1", "--minimal"]);
    host.xe(&["vbd-destroy", &format!("uuid={swap}")]);
    let again = host.deploy_recorded("deploy.2").ok();
    assert!(host.vdi_holds(&host.vdi_in(&again, "0"), 1 << 20, b"written by the guest"));
}

#[test]
fn a_failed_redeployment_leaves_the_halted_vm_as_it_was() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let before = host.dump();
    host.sim(&["fail", "vm-start", "--code", "INTERNAL_ERROR"]);
    let line = host.deploy_recorded("deploy.2").failure();
    assert!(line.contains("cannot start VM one-1 on xcp-a"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_copy_of_the_vm_by_somebody_else_is_not_taken_for_it() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let copy = host.xe(&["vm-copy", &format!("uuid={uuid}"), "new-name-label=backup of one-1"]);
    let again = host.deploy_recorded("deploy.2").ok();
    assert_ne!(again, copy);
    assert_eq!(host.vm_param(&copy, "power-state"), "halted");
    assert_ne!(host.vdi_in(&copy, "0"), "");
}

#[test]
fn every_failing_step_leaves_the_pool_as_it_was() {
    let host = Host::new();
    let before = host.dump();
    let calls = {
        let probe = Host::new();
        probe.forget_calls();
        probe.deploy().ok();
        probe.calls().len()
    };
    for nth in 1..=calls {
        for when in ["--before", "--after"] {
            let nth = nth.to_string();
            let mut fault = vec!["fail", "any", "--nth", &nth, "--code", "INTERNAL_ERROR"];
            fault.extend((when == "--after").then_some(when));
            host.sim(&fault);
            let said = host.deploy();
            host.sim(&["clear"]);
            let shown = format!("{nth} {when}: {said:#?}\n{:#?}", host.calls());
            said.failure();
            if when == "--before" {
                host.is_as_after(&before, format_args!("{shown}"));
            }
            host.forget_calls();
        }
    }
}

#[test]
fn where_the_pool_has_no_memory_ranges_the_vm_starts_without_room_to_grow() {
    let host = Host::new();
    let with_room =
        Recorded::load("deploy").with("<MEMORY>", "<MEMORY_MAX><![CDATA[1024]]></MEMORY_MAX><MEMORY>");
    let params = "DMC disabled";
    let code = "MEMORY_CONSTRAINT_VIOLATION_MAXPIN";
    host.sim(&["fail", "vm-memory-limits-set", "--code", code, "--params", params]);
    let said = host.deploy_document("xcp-a", &with_room.stdin);
    assert!(said.stderr.contains("WARN: MEMORY_MAX: the VM starts without room"), "{said:?}");
    assert!(said.stderr.contains(params), "{said:?}");
    let uuid = said.ok();
    for field in ["memory-dynamic-min", "memory-dynamic-max", "memory-static-max"] {
        assert_eq!(host.vm_param(&uuid, field), (512 << 20).to_string(), "{field}");
    }
}
