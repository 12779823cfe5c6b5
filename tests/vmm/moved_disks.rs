//! Disks of `xcp` datastores that an administrator moved to another SR while the VM ran.
use crate::common::{Host, Recorded};
use std::fs;

const DISK_0: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE>";
const IN_XCP: &str =
    "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[xcp]]></TM_MAD><TYPE><![CDATA[BLOCK]]></TYPE>";

/// A running VM whose disk 0 was moved; its uuid, the VDI of before, and the one of now.
fn moved() -> (Host, String, String, String) {
    let host = Host::new();
    let nfs = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let before = host.xe(&[
        "vdi-create",
        &format!("sr-uuid={nfs}"),
        "name-label=one-1-disk-0",
        "virtual-size=5MiB",
        "tags:0=one-1-disk-0",
    ]);
    let image = host.path("image");
    fs::write(&image, vec![0; 5 << 20]).unwrap();
    let filename = format!("filename={}", image.display());
    host.xe(&["vdi-import", &format!("uuid={before}"), &filename, "format=raw"]);
    fs::write(host.vm_folder(0, 1).join("disk.0"), format!("{before}\n")).unwrap();
    let uuid = host.deploy_document("xcp-a", &Recorded::load("deploy").with(DISK_0, IN_XCP).stdin).ok();
    host.write_vdi(&before, 1 << 20, b"written by the guest");
    let local = host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
    let is_here = |sr: &&str| {
        !host.xe(&["pbd-list", &format!("sr-uuid={sr}"), "host-name-label=xcp-a", "--minimal"]).is_empty()
    };
    let local = local.split(',').find(is_here).unwrap().to_owned();
    let now = host.xe(&["vdi-pool-migrate", &format!("uuid={before}"), &format!("sr-uuid={local}")]);
    assert_ne!(now, before);
    (host, uuid, before, now)
}

fn goes_on_with(host: &Host, now: &str, before: &str) {
    let again = host.deploy_document("xcp-a", &Recorded::load("deploy.2").with(DISK_0, IN_XCP).stdin).ok();
    assert_eq!(host.vdi_in(&again, "0"), now);
    assert!(host.vdi_holds(now, 1 << 20, b"written by the guest"));
    let file = fs::read_to_string(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert_eq!(file.trim(), now);
    let tags = host.xe(&["vdi-param-get", &format!("uuid={now}"), "param-name=tags"]);
    assert!(tags.contains(&format!("one-source-{before}")) && tags.contains("one-1-disk-0"), "{tags}");
}

#[test]
fn a_powered_off_vm_goes_on_with_the_moved_disk() {
    let (host, uuid, before, now) = moved();
    let end = Recorded::load("shutdown").with(DISK_0, IN_XCP);
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &end.stdin).ok();
    goes_on_with(&host, &now, &before);
}

#[test]
fn a_vm_that_powered_itself_off_goes_on_with_the_moved_disk() {
    let (host, uuid, before, now) = moved();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    goes_on_with(&host, &now, &before);
}

#[test]
fn a_disk_that_was_not_moved_costs_no_call() {
    let (host, uuid, _, _) = moved();
    let end = Recorded::load("shutdown").with(DISK_0, IN_XCP);
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &end.stdin).ok();
    let again = host.deploy_document("xcp-a", &Recorded::load("deploy.2").with(DISK_0, IN_XCP).stdin).ok();
    host.forget_calls();
    host.run("shutdown", &[&again, "xcp-a", "1", "xcp-a"], &end.stdin).ok();
    assert!(host.calls().iter().all(|call| !call.line.starts_with("vdi-list")), "{:#?}", host.calls());
}
