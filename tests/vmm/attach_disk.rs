//! `attach_disk` through its link, with what a real oned sent.
use crate::common::data_disk::{
    ATTACHED, DATA, DISK_3_AS_CD, DISK_3_END, DISK_3_IN_XCP, MIB, attach, default_sr, detach, file,
    make_file, make_vdi, running, vbds, vdis, with_disk_3,
};
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, said, sparse_file};
use std::fs;

/// The VM has disk 3 once, as the device at this place, and the pool has one VDI for it.
#[track_caller]
fn has_disk(host: &Host, uuid: &str, place: &str) {
    let made = vdis(host);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(vbds(host, uuid, &format!("vdi-uuid={}", made[0]), "userdevice"), place);
    assert_eq!(vbds(host, uuid, &format!("userdevice={place}"), "currently-attached"), "true");
    assert!(host.vdi_holds(&made[0], 1 << 20, DATA));
}

fn mark(host: &Host, vbd: &str, key: &str) -> String {
    let args = [format!("uuid={vbd}"), format!("param-key={key}")];
    host.xe(&["vbd-param-get", &args[0], "param-name=other-config", &args[1]])
}

fn run(host: &Host, uuid: &str) -> crate::common::Said {
    attach().run(host, uuid)
}

#[test]
fn a_disk_is_plugged_in_where_its_target_says_and_marked_as_at_deployment() {
    let (host, uuid) = running();
    run(&host, &uuid).ok();
    has_disk(&host, &uuid, "2");
    let vdi = &vdis(&host)[0];
    let tags = host.xe(&["vdi-param-get", &format!("uuid={vdi}"), "param-name=tags"]);
    assert!(tags.contains(&format!("one-vm-{uuid}")) && tags.contains("one-1-disk-3"), "{tags}");
    assert!(tags.contains("one-persistent"), "{tags}");
    let [deployed, plugged] =
        ["0", "2"].map(|place| vbds(&host, &uuid, &format!("userdevice={place}"), "uuid"));
    for (key, of_disk_0, of_disk_3) in [
        ("one_vm_id", "1", "1"),
        ("one_disk_id", "0", "3"),
        ("one_image_id", "0", "1"),
        ("one_origin", "file", "file"),
        ("owner", "", ""),
    ] {
        assert_eq!(
            (mark(&host, &deployed, key).as_str(), mark(&host, &plugged, key).as_str()),
            (of_disk_0, of_disk_3)
        );
    }
    assert!(mark(&host, &plugged, "one_file").starts_with("10485760."));
}

#[test]
fn from_the_front_end_with_base64_on_standard_input() {
    let (host, uuid) = running();
    attach().run_from_front_end(&host, &uuid).ok();
    has_disk(&host, &uuid, "2");
}

#[test]
fn the_message_among_the_arguments_does_as_well() {
    let (host, uuid) = running();
    let (mut command, _) = attach().command(&host, &uuid);
    said(&mut command, b"").ok();
    has_disk(&host, &uuid, "2");
}

/// The message with this FORMAT and DRIVER of disk 3.
fn as_format(format: &str) -> RecordedAction {
    let said = |format: &str| {
        format!(
            "<DRIVER><![CDATA[{format}]]></DRIVER><FORMAT><![CDATA[{format}]]></FORMAT><IMAGE><![CDATA[data0]]>"
        )
    };
    attach().with(&said("raw"), &said(format))
}

#[test]
fn a_qcow2_image_of_the_file_datastore_is_taken_apart() {
    let (host, uuid) = running();
    let [raw, qcow2] = ["raw", "qcow2"].map(|name| host.path(name));
    fs::rename(file(&host, 3), &raw).unwrap();
    let args = ["convert", "-O", "qcow2", raw.to_str().unwrap(), qcow2.to_str().unwrap()];
    if std::process::Command::new("qemu-img").args(args).status().is_ok_and(|status| status.success()) {
        fs::rename(qcow2, file(&host, 3)).unwrap();
        let before = host.dump();
        as_format("vmdk").run(&host, &uuid).failure();
        host.is_as(&before);
        as_format("qcow2").run(&host, &uuid).ok();
        has_disk(&host, &uuid, "2");
    }
}

#[test]
fn attached_twice_it_is_one_disk() {
    let (host, uuid) = running();
    run(&host, &uuid).ok();
    let before = host.dump();
    run(&host, &uuid).ok();
    host.is_as(&before);
    // The transfer manager has made the file anew, as after an attempt that OpenNebula takes for failed.
    make_file(&host);
    run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_vdi_of_an_xcp_datastore_is_plugged_in_itself_and_never_twice() {
    let (host, uuid) = running();
    let vdi = make_vdi(&host, 3);
    let in_xcp = attach().with(DISK_3_END, DISK_3_IN_XCP);
    in_xcp.run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "2"), vdi);
    let vbd = vbds(&host, &uuid, "userdevice=2", "uuid");
    assert_eq!(mark(&host, &vbd, "one_origin"), "vdi");
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "currently-attached"), "true");
    let before = host.dump();
    in_xcp.run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_volatile_disk_of_an_xcp_datastore_and_a_file_on_an_xcp_system_datastore() {
    let (host, uuid) = running();
    host.mark_as(&uuid, 2);
    let folder = host.vm_folder(100, 2);
    fs::create_dir_all(&folder).unwrap();
    let vdi = make_vdi(&host, 5);
    fs::rename(file(&host, 5), folder.join("disk.5")).unwrap();
    RecordedAction::load("attach_disk", "attach_disk.3").run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "5"), vdi);
    sparse_file(&folder.join("disk.4"), 10 * MIB, &[(0, DATA)]);
    RecordedAction::load("attach_disk", "attach_disk.2").run(&host, &uuid).ok();
    assert!(host.vdi_holds(&host.vdi_in(&uuid, "4"), 0, DATA));
}

#[test]
fn a_target_that_is_taken_gives_way_and_the_log_says_so() {
    let (host, uuid) = running();
    let said = attach().with("<![CDATA[sdc]]>", "<![CDATA[xvda]]>").run(&host, &uuid);
    assert!(said.log().iter().any(|line| line.contains("place is taken")), "{said:?}");
    said.ok();
    has_disk(&host, &uuid, "2");
}

// CDs and read-only disks.

fn drive(host: &Host, uuid: &str) -> String {
    vbds(host, uuid, "type=CD", "uuid")
}

/// The recorded disk as a CD.
fn disc() -> RecordedAction {
    attach().with(DISK_3_END, DISK_3_AS_CD)
}

#[test]
fn a_disc_goes_into_the_empty_drive() {
    let host = Host::new().set("CONTEXT_DEVICE", "disk");
    let with_cd = crate::common::Recorded::load("deploy")
        .with("<TYPE><![CDATA[swap]]></TYPE>", "<TYPE><![CDATA[CDROM]]></TYPE>");
    let uuid = host.deploy_document("xcp-a", &with_cd.stdin).ok();
    make_file(&host);
    let drive = drive(&host, &uuid);
    // As detach_disk leaves a drive.
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-param-clear", &format!("uuid={drive}"), "param-name=other-config"]);
    disc().run(&host, &uuid).ok();
    let made = vdis(&host);
    assert_eq!(host.vdi_in(&uuid, "3"), made[0]);
    assert_eq!(mark(&host, &drive, "one_disk_id"), "3");
    let before = host.dump();
    disc().run(&host, &uuid).ok();
    host.is_as(&before);
}

#[test]
fn a_drive_whose_disc_is_only_out_for_a_moment_is_not_taken() {
    let (host, uuid) = running();
    let drive = drive(&host, &uuid);
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    disc().run(&host, &uuid).ok();
    assert_eq!(host.vdi_in(&uuid, "3"), "<not in database>");
    has_disk(&host, &uuid, "2");
}

#[test]
fn without_an_empty_drive_a_disc_becomes_a_disk_and_the_log_says_what_that_means() {
    let (host, uuid) = running();
    let said = disc().run(&host, &uuid);
    assert!(
        said.log().iter().any(|line| line.starts_with("WARN: ") && line.contains("no empty CD drive")),
        "{said:?}"
    );
    said.ok();
    has_disk(&host, &uuid, "2");
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "type"), "Disk");
}

#[test]
fn a_shared_vdi_is_never_made_writable_because_a_guest_takes_no_read_only_disk() {
    let (host, uuid) = running();
    make_vdi(&host, 3);
    let before = host.dump();
    let read_only = attach()
        .with(DISK_3_END, DISK_3_IN_XCP)
        .with("<READONLY><![CDATA[NO]]></READONLY>", "<READONLY><![CDATA[YES]]></READONLY>");
    let line = read_only.run(&host, &uuid).failure();
    assert!(line.contains("no read-only disk into a running HVM guest"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_paravirtualized_guest_takes_read_only_disks_as_such() {
    let host = Host::new();
    let pv = crate::common::Recorded::load("deploy")
        .with("<FIRMWARE><![CDATA[UEFI]]></FIRMWARE>", "<BOOTLOADER>pygrub</BOOTLOADER>");
    let uuid = host.deploy_document("xcp-a", &pv.stdin).ok();
    make_file(&host);
    let said = disc().run(&host, &uuid);
    assert!(!said.stderr.contains("not read-only"), "{said:?}");
    said.ok();
    has_disk(&host, &uuid, "2");
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "mode"), "RO");
}

#[test]
fn a_vdi_that_another_vm_has_is_refused_plainly() {
    let (host, uuid) = running();
    let vdi = make_vdi(&host, 3);
    let foreign = host.xe(&["vm-install", "template=Other install media", "new-name-label=other"]);
    let args = [format!("vm-uuid={foreign}"), format!("vdi-uuid={vdi}")];
    host.xe(&["vbd-create", &args[0], &args[1], "device=0"]);
    host.xe(&["vm-start", &format!("uuid={foreign}")]);
    let before = host.dump();
    let line = attach().with(DISK_3_END, DISK_3_IN_XCP).run(&host, &uuid).failure();
    assert!(line.contains("another VM has the disk") && line.contains("VDI_IN_USE"), "{line}");
    host.is_as(&before);
}

#[test]
fn limits_that_xapi_does_not_have_are_named_in_the_log() {
    let (host, uuid) = running();
    let said = attach()
        .with(ATTACHED, &format!("{ATTACHED}<TOTAL_IOPS_SEC>100</TOTAL_IOPS_SEC><CACHE>none</CACHE>"))
        .run(&host, &uuid);
    for name in ["VM/TEMPLATE/DISK/TOTAL_IOPS_SEC", "VM/TEMPLATE/DISK/CACHE"] {
        let told = said.log().iter().filter(|line| line.starts_with("WARN: ") && line.contains(name)).count();
        assert_eq!(told, 1, "{said:?}");
    }
    assert_eq!(said.log().iter().filter(|line| line.starts_with("WARN: ")).count(), 2, "{said:?}");
    said.ok();
}

// VMs that do not run.

#[test]
fn a_halted_vm_has_the_disk_when_it_starts_again() {
    let (host, uuid) = running();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    run(&host, &uuid).ok();
    assert_eq!(vbds(&host, &uuid, "userdevice=2", "currently-attached"), "false");
    let before = host.dump();
    run(&host, &uuid).ok();
    host.is_as(&before);
    let again = host.deploy_document("xcp-a", &with_disk_3("deploy.2").stdin).ok();
    has_disk(&host, &again, "2");
}

#[test]
fn a_suspended_vm_is_refused_plainly() {
    let (host, uuid) = running();
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let before = host.dump();
    let line = run(&host, &uuid).failure();
    assert!(line.contains("is suspended"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_guest_without_pv_drivers_is_refused_plainly() {
    for tools in ["no", "unknown"] {
        let host = if tools == "no" { Host::new() } else { Host::with_pool(&["--no-tools"]) };
        let uuid = host.deploy().ok();
        make_file(&host);
        if tools == "no" {
            host.sim(&["guest", &uuid, "tools=no"]);
        }
        host.forget_calls();
        let before = host.dump();
        let line = run(&host, &uuid).failure();
        assert!(line.contains("the guest has no PV drivers"), "{line}");
        host.is_as(&before);
        let calls = host.calls();
        assert!(
            !calls.iter().any(|call| call.line.starts_with("vdi-")),
            "before anything is made: {calls:#?}"
        );
    }
}

// What goes wrong.

#[test]
fn whichever_call_fails_the_pool_is_as_before_and_done_again_it_succeeds() {
    let (host, uuid) = running();
    let ways = [Wrong::Refused, Wrong::AnswerLost];
    steps::each_call(&host, &ways, &|host| attach().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| run(host, &uuid));
        has_disk(host, &uuid, "2");
    });
}

#[test]
fn what_could_not_be_taken_back_the_next_action_clears() {
    let (host, uuid) = running();
    for verb in ["vdi-import", "vbd-create"] {
        host.sim(&["fail", verb, "--always"]);
        host.sim(&["fail", "vdi-destroy", "--always"]);
        let line = run(&host, &uuid).failure();
        assert_eq!(vdis(&host).len(), 1, "{line}");
        // This one can take nothing back either, and clears nothing of the first: none is forgotten.
        run(&host, &uuid).failure();
        assert_eq!(vdis(&host).len(), 2, "{line}");
        host.sim(&["clear"]);
        run(&host, &uuid).ok();
        has_disk(&host, &uuid, "2");
        assert!(!host.path("state/vm-1.lock").exists());
        detach().run(&host, &uuid).ok();
        assert!(vdis(&host).is_empty());
        make_file(&host);
    }
}

#[test]
fn whichever_call_fails_with_a_vdi_of_an_xcp_datastore() {
    let (host, uuid) = running();
    let vdi = make_vdi(&host, 3);
    let in_xcp = || attach().with(DISK_3_END, DISK_3_IN_XCP);
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    steps::each_call(&host, &ways, &|host| in_xcp().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| in_xcp().run(host, &uuid));
        assert_eq!(vbds(host, &uuid, &format!("vdi-uuid={vdi}"), "userdevice"), "2");
    });
}

#[test]
fn whichever_call_fails_with_a_disc_in_the_drive() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    make_file(&host);
    let drive = drive(&host, &uuid);
    host.xe(&["vbd-eject", &format!("uuid={drive}")]);
    host.xe(&["vbd-param-clear", &format!("uuid={drive}"), "param-name=other-config"]);
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    steps::each_call(&host, &ways, &|host| disc().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| disc().run(host, &uuid));
        assert_eq!(vdis(host), [host.vdi_in(&uuid, "3")], "{step:#?}");
    });
}

#[test]
fn sigterm_at_each_step_leaves_the_pool_as_it_was() {
    let (host, uuid) = running();
    steps::each_call(&host, &[Wrong::Terminated], &|host| attach().command(host, &uuid), &|host, step| {
        steps::undone_or_done(host, step, &|host| run(host, &uuid));
        has_disk(host, &uuid, "2");
    });
}

#[test]
fn what_a_driver_killed_at_any_step_leaves_the_next_action_clears() {
    let (host, uuid) = running();
    steps::each_call(&host, &[Wrong::Killed], &|host| attach().command(host, &uuid), &|host, _| {
        run(host, &uuid).ok();
        has_disk(host, &uuid, "2");
    });
    let host = Host::new();
    let empty = host.dump();
    let uuid = host.deploy().ok();
    make_file(&host);
    steps::each_call(&host, &[Wrong::Killed], &|host| attach().command(host, &uuid), &|host, _| {
        host.on_vm("shutdown", "shutdown.3", &uuid).ok();
        host.is_as(&empty);
    });
}

#[test]
fn bad_input_reaches_no_pool() {
    let (host, uuid) = running();
    let before = host.dump();
    let (mut command, stdin) = attach().with(ATTACHED, "").command(&host, &uuid);
    assert!(said(&mut command, &stdin).failure().contains("no DISK with ATTACH=YES"));
    let line = host.run("attach_disk", &[&uuid, "/d/disk.3", "sdc", "2", "%%", "1", "xcp-a"], b"").failure();
    assert!(line.contains("the message among the arguments"), "{line}");
    let line = host.run("attach_disk", &[&uuid, "/d/disk.3", "sdc", "2"], b"").failure();
    assert!(line.contains("holds no message"), "{line}");
    let stdin = attach().recorded.stdin;
    let line = host.run("attach_disk", &["", "/d/disk.3", "sdc", "2", "", "1", "xcp-a"], &stdin).failure();
    assert!(line.contains("uuid"), "{line}");
    fs::write(file(&host, 3), b"QFI\xfb and nothing more").unwrap();
    assert!(as_format("qcow2").run(&host, &uuid).failure().contains("disk.3"));
    fs::remove_file(file(&host, 3)).unwrap();
    assert!(run(&host, &uuid).failure().contains("disk.3"));
    host.is_as(&before);
    make_file(&host);
    let absent = "11111111-2222-3333-4444-555555555555";
    assert!(run(&host, absent).failure().contains("the pool has no VM"));
    host.is_as(&before);
}

#[test]
fn an_sr_without_room_leaves_nothing() {
    let (host, uuid) = running();
    let before = host.dump();
    host.sim(&[
        "fail",
        "vdi-create",
        "--code",
        "SR_BACKEND_FAILURE_44",
        "--params",
        ",There is insufficient space,",
    ]);
    let line = run(&host, &uuid).failure();
    assert!(line.contains("insufficient space") && line.contains("disk 3"), "{line}");
    host.is_as(&before);
}

#[test]
fn another_disk_under_a_number_that_is_still_in_the_vm_is_another_disk() {
    let (host, uuid) = running();
    run(&host, &uuid).ok();
    let old = host.vdi_in(&uuid, "2");
    let other = attach().with("<IMAGE_ID><![CDATA[1]]></IMAGE_ID>", "<IMAGE_ID><![CDATA[8]]></IMAGE_ID>");
    sparse_file(&file(&host, 3), 10 * MIB, &[(MIB, b"of image 8")]);
    let said = other.run(&host, &uuid);
    assert!(said.stderr.contains(&old), "{said:?}");
    said.ok();
    let vbd = vbds(&host, &uuid, "userdevice=2", "uuid");
    let marks = host.xe(&["vbd-param-get", &format!("uuid={vbd}"), "param-name=other-config"]);
    assert!(!marks.contains("one_disk_id"), "{marks}");
    // What the guest writes to the old one is not written over the new one's file.
    host.write_vdi(&old, 2 * MIB, b"to the old one");
    let shutdown = with_disk_3("shutdown")
        .with("<IMAGE_ID><![CDATA[1]]></IMAGE_ID>", "<IMAGE_ID><![CDATA[8]]></IMAGE_ID>");
    host.run("shutdown", &[&uuid, "xcp-a", "1", "xcp-a"], &shutdown.stdin).ok();
    let file = fs::read(file(&host, 3)).unwrap();
    assert!(file[1 << 20..].starts_with(b"of image 8") && !file[2 << 20..].starts_with(b"to the old one"));
    assert_eq!(vdis(&host), [""; 0]);
}

#[test]
fn copies_that_somebody_made_are_nobodys_remains() {
    let (host, uuid) = running();
    run(&host, &uuid).ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let vdi = host.vdi_in(&uuid, "2");
    let backup = host.xe(&["vdi-copy", &format!("uuid={vdi}"), &format!("sr-uuid={}", default_sr(&host))]);
    host.xe(&["vm-start", &format!("uuid={uuid}")]);
    for wrong in [Wrong::AnswerLost, Wrong::Killed] {
        host.xe(&["vbd-unplug", &format!("uuid={}", vbds(&host, &uuid, "userdevice=2", "uuid"))]);
        host.xe(&["vbd-destroy", &format!("uuid={}", vbds(&host, &uuid, "userdevice=2", "uuid"))]);
        steps::each_call(&host, &[wrong], &|host| attach().command(host, &uuid), &|host, _| {
            run(host, &uuid).ok();
            assert_eq!(host.xe(&["vdi-list", &format!("uuid={backup}"), "--minimal"]), backup);
        });
    }
}
