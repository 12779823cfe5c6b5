//! `resize_disk`, through its link, with what a real oned sent.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded};
use std::fs;

const MIB: u64 = 1 << 20;

/// Disk 0 from 5 to 20 MB.
fn to_20_mb() -> RecordedAction {
    RecordedAction::load("resize_disk", "resize_disk")
}

fn size(host: &Host, vdi: &str) -> u64 {
    let uuid = format!("uuid={vdi}");
    host.xe(&["vdi-param-get", &uuid, "param-name=virtual-size"]).parse().unwrap()
}

/// What the transfer manager does first: the file grows.
fn grow_file(host: &Host) {
    let file = fs::File::options().write(true).open(host.vm_folder(0, 1).join("disk.0")).unwrap();
    file.set_len(20 * MIB).unwrap();
}

/// A pool whose SRs grow disks in use.
fn growing() -> (Host, String) {
    let host = Host::with_pool(&["--online-resize"]);
    let uuid = host.deploy().ok();
    grow_file(&host);
    (host, uuid)
}

#[test]
fn a_disk_grows_under_its_running_vm_and_comes_back_as_large() {
    let (host, uuid) = growing();
    let vdi = host.vdi_in(&uuid, "0");
    to_20_mb().run(&host, &uuid).ok();
    assert_eq!(size(&host, &vdi), 20 * MIB);
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
    host.write_vdi(&vdi, 4 * MIB, b"written before the end");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert_eq!(file.len() as u64, 20 * MIB);
    assert!(file[usize::try_from(4 * MIB).unwrap()..].starts_with(b"written before the end"));
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let (host, uuid) = growing();
    to_20_mb().run_from_front_end(&host, &uuid).ok();
    assert_eq!(size(&host, &host.vdi_in(&uuid, "0")), 20 * MIB);
}

#[test]
fn the_disk_of_an_xcp_datastore_grows_too() {
    let host = Host::with_pool(&["--online-resize"]);
    let sr = host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]);
    let vdi = host.xe(&["vdi-create", &format!("sr-uuid={sr}"), "name-label=image", "virtual-size=5MiB"]);
    fs::write(host.vm_folder(0, 1).join("disk.0"), format!("{vdi}\n")).unwrap();
    let xcp = Recorded::load("deploy").with(
        "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[ssh]]>",
        "<TARGET><![CDATA[xvda]]></TARGET><TM_MAD><![CDATA[xcp]]>",
    );
    let uuid = host.deploy_document("xcp-a", &xcp.stdin).ok();
    to_20_mb().run(&host, &uuid).ok();
    assert_eq!(size(&host, &vdi), 20 * MIB);
}

#[test]
fn where_no_sr_can_it_is_said_and_nothing_is_touched() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    grow_file(&host);
    let before = host.dump();
    let line = to_20_mb().run(&host, &uuid).failure();
    assert!(
        line.contains("disk 0 cannot grow while the VM runs") && line.contains("power the VM off"),
        "{line}"
    );
    host.is_as(&before);
    // The file that has grown already does no harm: the guest's bytes are at its beginning, zeros behind.
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
    assert_eq!((file.len() as u64, &file[..4]), (20 * MIB, &b"boot"[..]));
}

#[test]
fn an_xapi_that_allows_it_and_then_does_not_is_told_of_the_same() {
    let (host, uuid) = growing();
    let before = host.dump();
    host.sim(&["fail", "vdi-resize", "--code", "MESSAGE_REMOVED"]);
    let line = to_20_mb().run(&host, &uuid).failure();
    assert!(line.contains("cannot grow while the VM runs") && line.contains("(MESSAGE_REMOVED)"), "{line}");
    host.is_as(&before);
}

#[test]
fn repeated_or_for_a_smaller_size_it_changes_nothing() {
    let (host, uuid) = growing();
    to_20_mb().run(&host, &uuid).ok();
    let before = host.dump();
    let said = to_20_mb().run(&host, &uuid);
    assert!(said.stderr.contains("disk 0 has 20 MB already"), "{said:#?}");
    said.ok();
    host.run("resize_disk", &[&uuid, "0", "10"], b"").ok();
    host.is_as(&before);
}

#[test]
fn whatever_call_fails_the_disk_has_grown_or_is_as_it_was() {
    let (host, uuid) = growing();
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];
    steps::each_call(&host, &ways, &|host| to_20_mb().command(host, &uuid), &|host, step| {
        if step.wrong == Wrong::Killed {
            to_20_mb().run(host, &uuid).ok();
        } else {
            steps::undone_or_done(host, step, &|host| to_20_mb().run(host, &uuid));
        }
        assert_eq!(size(host, &host.vdi_in(&uuid, "0")), 20 * MIB);
    });
}

#[test]
fn bad_input_is_refused_without_a_call() {
    let (host, uuid) = growing();
    let before = host.dump();
    for (args, words) in [
        (&[uuid.as_str(), "0", "much"][..], "much"),
        (&[&uuid, "zero", "20"], "zero"),
        (&["one-1", "0", "20"], "one-1"),
        (&[&uuid, "7", "20"], "has no disk 7 in the pool"),
    ] {
        let line = host.run("resize_disk", args, b"").failure();
        assert!(line.contains(words), "{line}");
    }
    host.is_as(&before);
}

#[test]
fn a_full_sr_is_named() {
    let (host, uuid) = growing();
    let before = host.dump();
    let full = ["--code", "SR_BACKEND_FAILURE_44", "--params", ",There is insufficient space,"];
    host.sim(&[&["fail", "vdi-resize"], &full[..]].concat());
    let line = to_20_mb().run(&host, &uuid).failure();
    assert!(line.contains("cannot grow disk 0 to 20 MB") && line.contains("insufficient space"), "{line}");
    host.is_as(&before);
}
