//! `detach_disk` through its link, with what a real oned sent, and what becomes of a disk that was attached.
use crate::common::Host;
use crate::common::data_disk::{
    ATTACHED, DISK_3_AS_CD, DISK_3_END, DISK_3_IN_XCP, MIB, attach, detach, file, is_written_back, make_file,
    make_vdi, running, vbds, vdis, with_disk, with_disk_3,
};
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use std::fs;

const NOT_PERSISTENT: (&str, &str) = (
    "<PERSISTENT><![CDATA[YES]]></PERSISTENT><PERSISTENT_SNAPSHOTS><![CDATA[YES]]></PERSISTENT_SNAPSHOTS><READONLY><![CDATA[NO]]></READONLY><SAVE><![CDATA[YES]]></SAVE>",
    "<SAVE><![CDATA[NO]]></SAVE>",
);

fn run(host: &Host, uuid: &str) -> crate::common::Said {
    detach().run(host, uuid)
}

/// A running VM without disk 3, and its pool.
fn never_attached() -> (Host, String, String) {
    let (host, uuid) = running();
    let before = host.dump();
    (host, uuid, before)
}

#[test]
fn a_persistent_disk_is_written_back_and_nothing_of_it_is_left() {
    let (host, uuid, before) = never_attached();
    attach().run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), 2 * MIB, b"written by the guest");
    run(&host, &uuid).ok();
    is_written_back(&host);
    host.is_as(&before);
    // What is not there is detached.
    run(&host, &uuid).ok();
    host.is_as(&before);
    run(&host, "11111111-2222-3333-4444-555555555555").ok();
    is_written_back(&host);
}

#[test]
fn from_the_front_end_with_base64_on_standard_input() {
    let (host, uuid) = with_disk();
    detach().run_from_front_end(&host, &uuid).ok();
    is_written_back(&host);
    assert_eq!(vdis(&host), [""; 0]);
}

#[test]
fn a_disk_that_opennebula_throws_away_is_not_written_back() {
    let (host, uuid, before) = never_attached();
    let (persistent, not) = NOT_PERSISTENT;
    attach().with(persistent, not).run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), 2 * MIB, b"written by the guest");
    let untouched = fs::metadata(file(&host, 3)).unwrap().modified().unwrap();
    detach().with(persistent, not).run(&host, &uuid).ok();
    assert_eq!(fs::metadata(file(&host, 3)).unwrap().modified().unwrap(), untouched);
    host.is_as(&before);
}

#[test]
fn a_vdi_of_an_xcp_datastore_stays_where_it_is() {
    let (host, uuid) = running();
    make_vdi(&host, 3);
    let before = host.dump();
    attach().with(DISK_3_END, DISK_3_IN_XCP).run(&host, &uuid).ok();
    detach().with(DISK_3_END, DISK_3_IN_XCP).run(&host, &uuid).ok();
    host.is_as(&before);
    let volatile = [("attach_disk", "attach_disk.3"), ("detach_disk", "detach_disk.2")]
        .map(|(action, recorded)| RecordedAction::load(action, recorded));
    host.mark_as(&uuid, 2);
    let before = host.dump();
    fs::create_dir_all(host.vm_folder(100, 2)).unwrap();
    fs::rename(file(&host, 3), host.vm_folder(100, 2).join("disk.5")).unwrap();
    for action in &volatile {
        action.run(&host, &uuid).ok();
    }
    host.is_as(&before);
}

#[test]
fn a_disc_is_ejected_and_its_drive_serves_the_next_one() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    make_file(&host);
    let drive = vbds(&host, &uuid, "type=CD", "uuid");
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-param-clear", &format!("uuid={drive}"), "param-name=other-config"]);
    let before = host.dump();
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    let disc = |action: RecordedAction| action.with(DISK_3_END, DISK_3_AS_CD);
    disc(attach()).run(&host, &uuid).ok();
    steps::each_call(&host, &ways, &|host| disc(detach()).command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| disc(detach()).run(host, &uuid));
        host.is_as(&before);
    });
    disc(attach()).run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "3"), vdis(&host)[0]);
}

#[test]
fn a_disc_needs_no_pv_drivers_in_the_guest() {
    let host = Host::with_pool(&["--no-tools"]);
    let uuid = host.deploy().ok();
    make_file(&host);
    let drive = vbds(&host, &uuid, "type=CD", "uuid");
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-param-clear", &format!("uuid={drive}"), "param-name=other-config"]);
    let before = host.dump();
    attach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "3"), vdis(&host)[0]);
    detach().with(DISK_3_END, DISK_3_AS_CD).run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_halted_vm_gives_its_disk_back_too() {
    let (host, uuid) = with_disk();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    run(&host, &uuid).ok();
    is_written_back(&host);
    assert_eq!(vdis(&host), [""; 0]);
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "uuid"), "");
}

#[test]
fn a_guest_that_does_not_let_go_at_first_is_asked_again_and_one_that_never_does_keeps_its_disk() {
    let (host, uuid) = with_disk();
    let rejected = ["--code", "DEVICE_DETACH_REJECTED", "--params", "VBD,OpaqueRef:1,Device in use"];
    host.sim(&[&["fail", "vbd-unplug"][..], &rejected].concat());
    run(&host, &uuid).ok();
    is_written_back(&host);
    let (host, uuid) = with_disk();
    let host = host.set("XE_RETRY_PAUSE", "20");
    let before = host.dump();
    host.sim(&[&["fail", "vbd-unplug", "--always"][..], &rejected].concat());
    host.forget_calls();
    let line = run(&host, &uuid).failure();
    let tries: Vec<_> = host.calls().into_iter().filter(|call| call.line.starts_with("vbd-unplug")).collect();
    let pauses: Vec<f64> = tries.windows(2).map(|pair| pair[1].start_ms - pair[0].end_ms).collect();
    assert_eq!(pauses.len(), 4, "{pauses:?}");
    assert!(pauses.iter().zip([20.0, 40.0, 80.0, 160.0]).all(|(pause, least)| *pause >= least), "{pauses:?}");
    assert!(line.contains("does not let go") && line.contains("DEVICE_DETACH_REJECTED"), "{line}");
    host.sim(&["clear"]);
    host.is_as(&before);
}

#[test]
fn a_guest_without_pv_drivers_keeps_its_disk() {
    let (host, uuid) = with_disk();
    host.sim(&["guest", &uuid, "tools=no"]);
    let before = host.dump();
    let line = run(&host, &uuid).failure();
    assert!(line.contains("the guest has no PV drivers") && line.contains("VM_MISSING_PV_DRIVERS"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_disk_in_the_vm() {
    let (host, uuid) = with_disk();
    let before = host.dump();
    fs::remove_file(file(&host, 3)).unwrap();
    fs::create_dir(file(&host, 3)).unwrap();
    let line = run(&host, &uuid).failure();
    assert!(line.contains("its data is safe in VDI"), "{line}");
    host.is_as(&before);
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "currently-attached"), "true");
}

#[test]
fn whichever_call_fails_or_sigterm_at_each_step() {
    let (host, uuid) = with_disk();
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    steps::each_call(&host, &ways, &|host| detach().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| run(host, &uuid));
        is_written_back(host);
        assert_eq!((vdis(host), vbds(host, &uuid, "userdevice=2", "uuid")), (Vec::new(), String::new()));
    });
}

#[test]
fn a_driver_that_is_killed_loses_nothing_and_the_next_one_ends_it() {
    let (host, uuid) = with_disk();
    steps::each_call(&host, &[Wrong::Killed], &|host| detach().command(host, &uuid), &|host, _| {
        run(host, &uuid).ok();
        is_written_back(host);
        assert_eq!(vdis(host), [""; 0]);
    });
}

#[test]
fn bad_input_reaches_no_pool() {
    let (host, uuid) = with_disk();
    let before = host.dump();
    let line = detach().with(ATTACHED, "").run(&host, &uuid).failure();
    assert!(line.contains("no DISK with ATTACH=YES"), "{line}");
    let line = host.run("detach_disk", &[&uuid, "/d/disk.3", "sdc", "2"], b"").failure();
    assert!(line.contains("holds no message"), "{line}");
    let line = host.run("detach_disk", &["", "/d/disk.3", "sdc", "2"], &detach().recorded.stdin).failure();
    assert!(line.contains("uuid"), "{line}");
    host.is_as(&before);
}

// A disk that was attached is found like one that was deployed.

#[test]
fn powered_off_the_vm_writes_the_attached_disk_back_and_nothing_is_left() {
    for message in ["shutdown", "cancel"] {
        let host = Host::new();
        let empty = host.dump();
        let uuid = host.deploy().ok();
        make_file(&host);
        attach().run(&host, &uuid).ok();
        host.write_vdi(&host.vdi_in(&uuid, "2"), 2 * MIB, b"written by the guest");
        let action = with_disk_3(message);
        host.run(message, &[&uuid, "xcp-a", "1", "xcp-a"], &action.stdin).ok();
        is_written_back(&host);
        host.is_as(&empty);
    }
}

#[test]
fn terminated_the_vm_takes_the_attached_disk_with_it() {
    let host = Host::new();
    let empty = host.dump();
    let uuid = host.deploy().ok();
    make_file(&host);
    let (persistent, not) = NOT_PERSISTENT;
    attach().with(persistent, not).run(&host, &uuid).ok();
    let terminate = with_disk_3("shutdown.3").with(persistent, not);
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &terminate.stdin).ok();
    host.is_as(&empty);
    // A persistent image's data outlives the VM.
    let uuid = host.deploy().ok();
    attach().run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), 2 * MIB, b"written by the guest");
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &with_disk_3("shutdown.3").stdin).ok();
    is_written_back(&host);
    host.is_as(&empty);
}

#[test]
fn a_vm_that_went_off_by_itself_goes_on_with_the_attached_disk() {
    let (host, uuid) = with_disk();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let again = host.deploy_document("xcp-a", &with_disk_3("deploy.2").stdin).ok();
    let vdi = host.vdi_in(&again, "2");
    assert!(host.vdi_holds(&vdi, 2 << 20, b"written by the guest"));
    detach().run(&host, &again).ok();
    is_written_back(&host);
}

#[test]
fn the_number_of_a_detached_disk_serves_another_image() {
    let (host, uuid) = with_disk();
    run(&host, &uuid).ok();
    let (old, new) = ("<IMAGE_ID><![CDATA[1]]></IMAGE_ID>", "<IMAGE_ID><![CDATA[8]]></IMAGE_ID>");
    crate::common::sparse_file(&file(&host, 3), 4 * MIB, &[(0, b"image 8")]);
    attach().with(old, new).run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), MIB, b"into image 8");
    detach().with(old, new).run(&host, &uuid).ok();
    let file = fs::read(file(&host, 3)).unwrap();
    assert_eq!(file.len() as u64, 4 * MIB);
    assert!(file.starts_with(b"image 8") && file[1 << 20..].starts_with(b"into image 8"));
}
