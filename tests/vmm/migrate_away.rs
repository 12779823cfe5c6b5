//! `migrate` to a host of another pool, and to another system datastore, through its link.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, PROGRAM, Recorded, Said, said};
use std::fs;

/// To xcp-m, of another pool.
fn away() -> RecordedAction {
    let mut away = RecordedAction::load("migrate", "migrate").with("xcp-b", "xcp-m");
    "xcp-m".clone_into(&mut away.recorded.argv[1]);
    away
}

/// Runs a program on the other pool.
fn there(host: &Host, program: &str, args: &[&str]) -> String {
    said(host.command(program).env("XE_SIM", host.path("other")).args(args), b"").ok()
}

fn xe_there(host: &Host, args: &[&str]) -> String {
    there(host, host.path("bin/xe").to_str().unwrap(), args)
}

fn param_there(host: &Host, uuid: &str, field: &str) -> String {
    xe_there(host, &["vm-param-get", &format!("uuid={uuid}"), &format!("param-name={field}")])
}

/// Two pools, and the VM runs in the first.
fn two_pools() -> (Host, String) {
    let host = Host::new();
    there(&host, PROGRAM, &["sim", "init", "--other", "--password", "secret,of the other"]);
    host.sim(&["peer", host.path("other").to_str().unwrap()]);
    let file = host.path("remote-password");
    fs::write(&file, "root\nsecret,of the other\n").unwrap();
    let host = host.set("REMOTE_PASSWORD_FILE", file.to_str().unwrap());
    let uuid = host.deploy().ok();
    (host, uuid)
}

#[track_caller]
fn is_there(host: &Host, uuid: &str) {
    assert_eq!(param_there(host, uuid, "power-state"), "running");
    let resident_on = param_there(host, uuid, "resident-on");
    let filter = format!("uuid={resident_on}");
    assert_eq!(xe_there(host, &["host-list", &filter, "params=name-label", "--minimal"]), "xcp-m");
    assert_eq!(host.xe(&["vm-list", &format!("uuid={uuid}"), "--minimal"]), "");
    assert!(!host.xe(&["vdi-list", "params=name-label", "--minimal"]).contains("one-1-disk"));
}

#[test]
fn a_vm_goes_to_another_pool_with_its_disks_and_networks() {
    let (host, uuid) = two_pools();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"written by the guest");
    host.forget_calls();
    let said = away().run(&host, &uuid);
    assert!(!said.stderr.contains("WARN: "), "{said:?}");
    said.ok();
    // docs/cost.md
    assert_eq!(host.calls().len(), 27, "{:#?}", host.calls());
    is_there(&host, &uuid);
    let network =
        xe_there(&host, &["vif-list", &format!("vm-uuid={uuid}"), "params=network-name-label", "--minimal"]);
    assert_eq!(network, "Pool-wide network associated with eth0");
    assert_eq!(param_there(&host, &uuid, "name-label"), "one-1");
    let disk = [format!("vm-uuid={uuid}"), "userdevice=0".to_owned()];
    let vdi = xe_there(&host, &["vbd-list", &disk[0], &disk[1], "params=vdi-uuid", "--minimal"]);
    let tags = xe_there(&host, &["vdi-param-get", &format!("uuid={vdi}"), "param-name=tags"]);
    assert!(tags.contains(&format!("one-vm-{uuid}")) && tags.contains("one-1-disk-0"), "{tags}");
    // XAPI takes no disc to another pool: it is made anew there.
    let drive = [format!("vm-uuid={uuid}"), "type=CD".to_owned()];
    let in_drive = xe_there(&host, &["vbd-list", &drive[0], &drive[1], "params=vdi-uuid", "--minimal"]);
    let bytes = fs::read(host.path("other.vdi").join(in_drive)).unwrap();
    assert!(bytes[32_769..].starts_with(b"CD001"));
    let bytes = fs::read(host.path("other.vdi").join(vdi)).unwrap();
    assert!(bytes[1 << 20..].starts_with(b"written by the guest"));
    let log = host.sim(&["log"]);
    assert!(log.contains("vm-migrate") && !log.contains("secret"), "{log}");
}

#[test]
fn over_there_the_drivers_know_it_as_theirs() {
    let (host, uuid) = two_pools();
    away().run(&host, &uuid).ok();
    let shutdown = RecordedAction::load("shutdown", "shutdown.3");
    let (mut command, stdin) = shutdown.command(&host, &uuid);
    said(command.env("XE_SIM", host.path("other")), &stdin).ok();
    assert_eq!(xe_there(&host, &["vm-list", &format!("uuid={uuid}"), "--minimal"]), "");
    assert!(!xe_there(&host, &["vdi-list", "params=name-label", "--minimal"]).contains("one-1-disk"));
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let (host, uuid) = two_pools();
    away().run_from_front_end(&host, &uuid).ok();
    is_there(&host, &uuid);
}

#[test]
fn a_context_disc_without_its_file_is_named() {
    let (host, uuid) = two_pools();
    fs::remove_file(host.vm_folder(0, 1).join("disk.2")).unwrap();
    let said = away().run(&host, &uuid);
    assert!(
        said.stderr.contains("WARN: disk 2 is out of its drive: XAPI takes no disc to another pool"),
        "{said:?}"
    );
    said.ok();
    is_there(&host, &uuid);
}

#[test]
fn repeated_it_is_success() {
    let (host, uuid) = two_pools();
    away().run(&host, &uuid).ok();
    let again = away().run(&host, &uuid);
    assert!(again.stderr.contains("already runs on xcp-m"), "{again:#?}");
    again.ok();
    is_there(&host, &uuid);
}

#[test]
fn a_named_sr_of_the_other_pool_takes_the_disks() {
    let (host, uuid) = two_pools();
    let local = xe_there(&host, &["sr-list", "name-label=Local storage", "--minimal"]);
    let own = local.split(',').find(|sr| {
        let hosts = xe_there(&host, &["pbd-list", &format!("sr-uuid={sr}"), "params=host-uuid", "--minimal"]);
        xe_there(&host, &["host-list", &format!("uuid={hosts}"), "params=name-label", "--minimal"]) == "xcp-m"
    });
    let host = host.set("MIGRATE_SR", own.unwrap());
    away().run(&host, &uuid).ok();
    let vdis = [format!("sr-uuid={}", own.unwrap()), "params=name-label".to_owned()];
    assert_eq!(xe_there(&host, &["vdi-list", &vdis[0], &vdis[1], "--minimal"]).split(',').count(), 3);
}

#[test]
fn what_cannot_go_is_refused_before_anything_is_touched() {
    let (host, uuid) = two_pools();
    let before = host.dump();
    let line = host.run("migrate", &[&uuid, "xcp-q", "xcp-a", "1", "xcp-a"], b"").failure();
    assert!(line.contains("xcp-q is no host of this pool, and its own pool cannot be asked"), "{line}");
    fs::write(host.path("remote-password"), "root\nwrong\n").unwrap();
    let line = away().run(&host, &uuid).failure();
    assert!(line.contains("Authentication failed"), "{line}");
    fs::write(host.path("remote-password"), "root\n").unwrap();
    let line = away().run(&host, &uuid).failure();
    assert!(line.contains("must hold a user name and a password, on two lines"), "{line}");
    let gone = "11111111-2222-3333-4444-000000000001";
    fs::write(host.path("remote-password"), "root\nsecret,of the other\n").unwrap();
    let line = away().run(&host, gone).failure();
    assert!(line.contains(&format!("neither this pool nor that of xcp-m has the VM {gone}")), "{line}");
    host.is_as(&before);
    let closed = host.set("REMOTE_PASSWORD_FILE", "");
    let line = away().run(&closed, &uuid).failure();
    assert!(line.contains("no host of the pool goes by the name \"xcp-m\""), "{line}");
    closed.is_as(&before);
}

#[test]
fn a_network_that_the_other_pool_has_not_is_named() {
    let (host, _) = two_pools();
    host.on_vm("shutdown", "shutdown.3", &host.xe(&["vm-list", "name-label=one-1", "--minimal"])).ok();
    host.xe(&["network-create", "name-label=storage"]);
    let on_storage = Recorded::load("deploy").with("<![CDATA[xenbr0]]>", "<![CDATA[storage]]>");
    let uuid = host.deploy_document("xcp-a", &on_storage.stdin).ok();
    let before = host.dump();
    let line = away().run(&host, &uuid).failure();
    assert!(line.contains("the other pool has no network \"storage\", nor one on bridge"), "{line}");
    host.is_as(&before);
}

#[test]
fn whichever_call_goes_wrong_the_vm_is_whole_in_one_pool() {
    let (host, uuid) = two_pools();
    let again = |host: &Host| -> Said { away().run(host, &uuid) };
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];
    steps::each_call(&host, &ways, &|host| away().command(host, &uuid), &|host, step| {
        let here = host.xe(&["vm-list", &format!("uuid={uuid}"), "--minimal"]);
        let over = xe_there(host, &["vm-list", &format!("uuid={uuid}"), "--minimal"]);
        assert_ne!(here.is_empty(), over.is_empty(), "{step:#?}");
        assert!(step.said.code != Some(0) || here.is_empty(), "{step:#?}");
        again(host).ok();
        is_there(host, &uuid);
    });
}

/// The recorded migration, to system datastore 100 that stands for an SR.
fn to_datastore(sr: &str) -> RecordedAction {
    RecordedAction::load("migrate", "migrate")
        .with("<DS_ID>0</DS_ID>", "<DS_ID>100</DS_ID>")
        .with("<DS_LIVE_MIGRATE>", &format!("<XCP_SR>{sr}</XCP_SR><DS_LIVE_MIGRATE>"))
}

fn sr_of_disk(host: &Host, uuid: &str) -> String {
    let vdi = host.vdi_in(uuid, "0");
    host.xe(&["vdi-param-get", &format!("uuid={vdi}"), "param-name=sr-uuid"])
}

#[test]
fn to_another_datastore_the_disks_move_with_the_vm() {
    let host = Host::new();
    let file = host.path("password");
    fs::write(&file, "root\nxen\n").unwrap();
    let host = host.set("XE_PASSWORD_FILE", file.to_str().unwrap());
    let uuid = host.deploy().ok();
    let local = host.xe(&["sr-list", "name-label=Local storage", "--minimal"]);
    let of_b = local.split(',').find(|sr| {
        let hosts = host.xe(&["pbd-list", &format!("sr-uuid={sr}"), "params=host-uuid", "--minimal"]);
        host.xe(&["host-list", &format!("uuid={hosts}"), "params=name-label", "--minimal"]) == "xcp-b"
    });
    let target = of_b.unwrap();
    let line = to_datastore("no such SR").run(&host, &uuid).failure();
    assert!(line.contains("XCP_SR of the system datastore"), "{line}");
    to_datastore(target).run(&host, &uuid).ok();
    assert_eq!((host.host_of(&uuid).as_str(), sr_of_disk(&host, &uuid).as_str()), ("xcp-b", target));
    let mark = [format!("uuid={uuid}"), "param-name=other-config".into(), "param-key=one_ds_id".into()];
    assert_eq!(host.xe(&["vm-param-get", &mark[0], &mark[1], &mark[2]]), "100");
    // Done again there is nothing to move.
    let again = to_datastore(target).run(&host, &uuid);
    assert!(again.stderr.contains("already runs on xcp-b"), "{again:#?}");
    // On the same host the disks alone move.
    let shared = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    to_datastore(&shared).run(&host, &uuid).ok();
    assert_eq!((host.host_of(&uuid).as_str(), sr_of_disk(&host, &uuid)), ("xcp-b", shared));
}
