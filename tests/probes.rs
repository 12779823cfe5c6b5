//! The probes, through their links, with what a real onemonitord sent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Host, Recorded, Said, said};
use std::fs;
use std::os::unix::fs::symlink;

fn probe(host: &Host, folder: &str, name: &str, args: &[&str]) -> Said {
    let link = host.path(&format!("remotes/im/xcp-probes.d/{folder}/{name}"));
    if !link.exists() {
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(common::PROGRAM, &link).unwrap();
    }
    said(host.command(link).args(args), &Recorded::load("run_monitord_client").stdin)
}

#[test]
fn host_system_tells_what_the_host_is_and_how_full_its_datastores_are() {
    let host = Host::new();
    fs::write(host.path("remotes/VERSION"), "7.4.0\n").unwrap();
    fs::write(host.path("datastores/0/.monitor"), "ssh\n").unwrap();
    fs::create_dir(host.path("datastores/1")).unwrap();
    let text = probe(&host, "host/system", "xcp-system", &["xcp", "0", "xcp-a"]).ok();
    for line in [
        "HYPERVISOR=\"xcp\"",
        "HOSTNAME=\"xcp-a\"",
        "TOTALCPU=800",
        "TOTALMEMORY=16777216",
        "VERSION=\"7.4.0\"",
    ] {
        assert!(text.lines().any(|given| given == line), "{line} is not in\n{text}");
    }
    let stores: Vec<&str> = text.lines().filter(|line| line.starts_with("DS = [ ID=")).collect();
    assert_eq!(stores.len(), 1, "{text}");
    assert!(stores[0].starts_with("DS = [ ID=0, USED_MB="), "{text}");
    assert!(text.contains("DS_LOCATION_FREE_MB="), "{text}");
}

#[test]
fn host_monitor_adds_up() {
    let host = Host::new();
    host.deploy().ok();
    let text = probe(&host, "host/monitor", "xcp-monitor", &["xcp", "0", "xcp-a"]).ok();
    let value = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
        line.parse().unwrap()
    };
    assert_eq!(value("USEDMEMORY") + value("FREEMEMORY"), 16_777_216, "{text}");
    assert!(value("USEDMEMORY") >= 524_288, "{text}");
    assert_eq!(value("USEDCPU") + value("FREECPU"), 800, "{text}");
}

#[test]
fn vm_status_lists_only_opennebulas_vms_of_this_host() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let line = format!("VM = [ ID=\"1\", DEPLOY_ID=\"{uuid}\", STATE=\"RUNNING\" ]");
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "0", "xcp-a"]).ok(), line);
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "1", "xcp-b"]).ok(), "");
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "0", "xcp-a"]).ok(), "");
    assert_eq!(probe(&host, "vm/status", "xcp-status", &["xcp", "1", "xcp-b"]).ok(), line);
}

#[test]
fn a_host_that_the_pool_does_not_have_is_an_error() {
    let host = Host::new();
    let line = probe(&host, "host/system", "xcp-system", &["xcp", "7", "xcp-z"]).failure();
    assert!(line.contains("no host of the pool goes by the name \"xcp-z\""), "{line}");
}
