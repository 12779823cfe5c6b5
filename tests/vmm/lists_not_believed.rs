//! Answers of `xe` that cannot be true, and what somebody did to a VM's disks by hand: nothing that a guest wrote is
//! lost, and nothing older is taken in its place.
use crate::common::steps::wait_for_quiet;
use crate::common::{Host, Recorded, holds};

const AT: u64 = 1 << 20;
const WRITTEN: &[u8] = b"written by the guest";

/// A running VM whose guest has written to disk 0.
fn written() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), AT, WRITTEN);
    (host, uuid)
}

fn file_has_it(host: &Host) -> bool {
    holds(&host.vm_folder(0, 1).join("disk.0"), AT, WRITTEN)
}

fn power_off_by_itself(host: &Host, uuid: &str) {
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
}

#[test]
fn a_spoilt_list_of_vbds_powers_nothing_off_without_writing_it_back() {
    for answer in ["empty", "short", "cut", "junk"] {
        let (host, uuid) = written();
        host.sim(&["fail", "vbd-list", "--answer", answer]);
        let said = host.on_vm("shutdown", "shutdown", &uuid);
        assert!(
            said.code == Some(0) || host.vm_param(&uuid, "power-state") == "running",
            "{answer}: {said:?}"
        );
        assert!(said.code != Some(0) || file_has_it(&host), "{answer}: {said:?}");
        host.sim(&["clear"]);
        _ = host.on_vm("shutdown", "shutdown", &uuid);
        assert!(file_has_it(&host), "{answer}");
    }
}

#[test]
fn a_list_of_vbds_that_stays_empty_is_refused_while_the_guest_runs() {
    let (host, uuid) = written();
    host.sim(&["fail", "vbd-list", "--answer", "empty", "--always"]);
    let line = host.on_vm("shutdown", "shutdown", &uuid).failure();
    assert!(line.contains("disk 0") && line.contains("one-1-disk-0"), "{line}");
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
}

#[test]
fn a_spoilt_list_makes_no_deployment_begin_with_older_files() {
    let (host, uuid) = written();
    power_off_by_itself(&host, &uuid);
    let kept = host.keep();
    for (verb, answer) in [
        ("vbd-list", "empty"),
        ("vbd-list", "short"),
        ("vm-list", "empty"),
        ("vm-list", "cut"),
        ("vm-list", "junk"),
    ] {
        host.put_back(&kept);
        let known = Recorded::load("deploy.2").with("11111111-2222-3333-4444-000000000001", &uuid);
        host.sim(&["fail", verb, "--answer", answer]);
        let said = host.deploy_document("xcp-a", &known.stdin);
        host.sim(&["clear"]);
        let again =
            if said.code == Some(0) { said.ok() } else { host.deploy_document("xcp-a", &known.stdin).ok() };
        assert!(host.vdi_holds(&host.vdi_in(&again, "0"), AT, WRITTEN), "{verb} {answer}");
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), again, "{verb} {answer}");
    }
}

#[test]
fn a_disk_that_somebody_attached_again_is_written_back_and_removed() {
    let (host, uuid) = written();
    let vdi = host.vdi_in(&uuid, "0");
    let vbd = host.xe(&["vbd-list", &format!("vdi-uuid={vdi}"), "--minimal"]);
    host.xe(&["vbd-unplug", &format!("uuid={vbd}")]);
    host.xe(&["vbd-destroy", &format!("uuid={vbd}")]);
    let vbd = host.xe(&["vbd-create", &format!("vm-uuid={uuid}"), &format!("vdi-uuid={vdi}"), "device=0"]);
    host.xe(&["vbd-plug", &format!("uuid={vbd}")]);
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert!(file_has_it(&host));
    assert!(!host.xe(&["vdi-list", "params=name-label", "--minimal"]).contains("one-1-disk-0"));
}

#[test]
fn a_deployment_killed_at_each_call_of_a_takeover_loses_nothing() {
    let mut calls = 0;
    let (host, uuid) = written();
    let swap = host.vdi_in(&uuid, "1");
    power_off_by_itself(&host, &uuid);
    let kept = host.keep();
    for nth in 1..40 {
        wait_for_quiet(&host);
        host.put_back(&kept);
        host.sim(&["kill", "any", "--nth", &nth.to_string(), "--after"]);
        let killed = host.deploy_recorded("deploy.2");
        if killed.code.is_some() {
            calls = nth;
            break;
        }
        host.sim(&["clear"]);
        let again = host.deploy_recorded("deploy.2").ok();
        assert!(host.vdi_holds(&host.vdi_in(&again, "0"), AT, WRITTEN), "killed at call {nth}");
        assert_eq!(host.vdi_in(&again, "1"), swap, "killed at call {nth}");
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), again, "killed at call {nth}");
    }
    assert!(calls > 10, "a takeover makes only {calls} calls");
}

#[test]
fn an_undo_that_fails_too_loses_nothing() {
    let (host, uuid) = written();
    power_off_by_itself(&host, &uuid);
    let kept = host.keep();
    for verb in ["vbd-create", "vbd-param-set", "vif-create", "vm-start"] {
        host.put_back(&kept);
        host.sim(&["fail", verb, "--nth", "2", "--times", "99"]);
        for undo in ["vm-destroy", "vdi-destroy", "vbd-destroy", "vm-shutdown"] {
            host.sim(&["fail", undo, "--always"]);
        }
        _ = host.deploy_recorded("deploy.2");
        host.sim(&["clear"]);
        let again = host.deploy_recorded("deploy.2").ok();
        assert!(host.vdi_holds(&host.vdi_in(&again, "0"), AT, WRITTEN), "{verb}");
    }
}
