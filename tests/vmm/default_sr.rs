//! The SR for disks that are made from files, in a pool whose hosts each have an SR of their own.
use crate::common::{Host, Recorded};

/// The SR of this name that is plugged on the host.
fn sr_of(host: &Host, on: &str) -> String {
    let named = host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
    let is_there = |sr: &&str| {
        let filters = [format!("sr-uuid={sr}"), format!("host-name-label={on}")];
        !host.xe(&["pbd-list", &filters[0], &filters[1], "--minimal"]).is_empty()
    };
    named.split(',').find(is_there).unwrap().to_owned()
}

/// The pool's default SR is that of xcp-a alone.
fn with_local_default() -> Host {
    let host = Host::new();
    let pool = host.xe(&["pool-list", "--minimal"]);
    let own = sr_of(&host, "xcp-a");
    host.xe(&["pool-param-set", &format!("uuid={pool}"), &format!("default-SR={own}")]);
    host
}

fn sr_in(host: &Host, vm: &str, device: &str) -> String {
    host.xe(&["vdi-param-get", &format!("uuid={}", host.vdi_in(vm, device)), "param-name=sr-uuid"])
}

#[test]
fn a_host_that_does_not_see_the_pools_default_uses_its_own_of_the_name() {
    let host = with_local_default();
    let document = Recorded::load("deploy").stdin;
    let said = host.deploy_document("xcp-b", &document);
    assert!(said.stderr.contains("\"Local storage\""), "{said:?}");
    let uuid = said.ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    let own = sr_of(&host, "xcp-b");
    for device in ["0", "1", "3"] {
        assert_eq!(sr_in(&host, &uuid, device), own);
    }
}

#[test]
fn the_new_context_disc_goes_there_too() {
    let host = with_local_default();
    let uuid = host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).ok();
    host.on_vm("prereconfigure", "prereconfigure", &uuid).ok();
    let recorded = Recorded::load("reconfigure");
    let iso = recorded.argv[2].clone();
    host.run("reconfigure", &[&uuid, "sda", &iso, "1", "xcp-b"], &recorded.stdin).ok();
    assert_eq!(sr_in(&host, &uuid, "3"), sr_of(&host, "xcp-b"));
}

#[test]
fn a_name_that_each_host_has_once_is_no_ambiguity() {
    let host = Host::new().set("DEFAULT_SR", "Local storage");
    let uuid = host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).ok();
    assert_eq!(sr_in(&host, &uuid, "0"), sr_of(&host, "xcp-b"));
}

#[test]
fn an_sr_that_the_host_does_not_see_is_refused_before_anything_is_made() {
    let host = Host::new();
    let own = sr_of(&host, "xcp-a");
    let host = host.set("DEFAULT_SR", &own);
    let before = host.dump();
    let line = host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).failure();
    assert!(line.contains("does not see the SR") && line.contains("xe pbd-list sr-uuid="), "{line}");
    host.is_as(&before);
    assert!(!host.calls().iter().any(|call| call.line.starts_with("vdi-create")));
}

#[test]
fn a_default_without_a_namesake_on_the_host_is_refused() {
    let host = with_local_default();
    let other = sr_of(&host, "xcp-b");
    host.xe(&["sr-param-set", &format!("uuid={other}"), "name-label=Fast storage"]);
    let before = host.dump();
    let line = host.deploy_document("xcp-b", &Recorded::load("deploy").stdin).failure();
    assert!(line.contains("does not see the pool's default SR"), "{line}");
    host.is_as(&before);
}
