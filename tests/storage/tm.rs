//! Disks of VMs.

use crate::common::said;
use crate::site::Site;
use std::fs;

#[test]
fn a_disk_is_cloned_in_three_calls_and_named_by_one_line() {
    let site = Site::new();
    let source = site.image();
    site.host.forget_calls();
    site.tm_recorded("clone", &source).ok();
    assert_eq!(site.host.calls().len(), 3, "{:#?}", site.host.calls());
    let uuid = site.disk(0);
    assert_ne!(uuid, source);
    assert!(site.host.vdi_bytes(&uuid) == site.host.vdi_bytes(&source));
    assert_eq!(site.tagged("one-2-disk-0"), [uuid.as_str()]);
    site.tm_recorded("clone", &source).ok();
    assert_eq!(site.disk(0), uuid, "done already");
}

#[test]
fn a_larger_disk_than_the_image_grows() {
    let site = Site::new();
    let source = site.image();
    site.has_vm("<SIZE>31</SIZE><ORIGINAL_SIZE>10</ORIGINAL_SIZE>");
    site.tm_recorded("clone", &source).ok();
    assert_eq!(site.vdi_param(&site.disk(0), "virtual-size"), (32 << 20).to_string());
}

#[test]
fn a_disk_for_the_system_datastores_sr_is_copied_there() {
    let site = Site::new();
    let source = site.image();
    let local = site.host.xe(&["sr-list", "name-label=Local storage", "params=uuid", "--minimal"]);
    let local = local.split(',').next().unwrap().to_owned();
    site.has_vm("<CLONE_TARGET>SYSTEM</CLONE_TARGET>");
    site.has(
        "onedatastore.100",
        &format!("<DATASTORE><TEMPLATE><XCP_SR>{local}</XCP_SR></TEMPLATE></DATASTORE>"),
    );
    site.tm_recorded("clone", &source).ok();
    let uuid = site.disk(0);
    assert_eq!(site.vdi_param(&uuid, "sr-uuid"), local);
    assert_eq!(site.vdi_param(&uuid, "tags"), "one-2-disk-0");
    assert!(site.host.vdi_bytes(&uuid) == site.host.vdi_bytes(&source));
}

#[test]
fn a_persistent_image_is_linked_and_outlives_the_vm() {
    let site = Site::new();
    let source = site.image();
    site.host.forget_calls();
    site.tm_recorded("ln", &source).ok();
    assert_eq!((site.disk(1), site.host.calls().len()), (source.clone(), 1));
    site.tm_recorded("mvds", &source).ok();
    assert!(site.is_there(&source) && !site.has_disk_file(1));
    site.tm_recorded("mvds", &source).ok();
    // A failed prolog is cleared with delete.
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    site.tm("delete", &[&disk, "2", "101"]).ok();
    assert!(site.is_there(&source));
}

#[test]
fn another_vdi_than_the_image_is_not_moved_into_it() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let disk = site.recorded("clone", &source)[1].clone();
    let line = site.tm("mvds", &[&disk, &source, "2", "101"]).failure();
    assert!(line.contains("which is not the image"), "{line}");
}

#[test]
fn deleted_disks_leave_nothing() {
    let site = Site::new();
    let source = site.image();
    let before = site.host.dump();
    site.tm_recorded("clone", &source).ok();
    site.tm_recorded("mkimage", "").ok();
    site.tm_recorded("mkswap", "").ok();
    assert_eq!(site.vdi_param(&site.disk(2), "virtual-size"), (64 << 20).to_string());
    assert_eq!(&site.host.vdi_bytes(&site.disk(5))[4086..4096], b"SWAPSPACE2");
    site.tm_recorded("snap_create", "").ok();
    for name in ["delete", "delete.2", "delete.3", "delete.4"] {
        site.tm_recorded(name, "").ok();
        site.tm_recorded(name, "").ok();
    }
    site.host.is_as(&before);
    assert!(!site.host.vm_folder(100, 2).exists());
}

/// The first try was killed when the disk was gone and its `disk.N` was not.
#[test]
fn a_copy_that_somebody_has_made_of_a_disk_is_not_deleted_in_its_place() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let disk = site.disk(0);
    let copy = site.host.xe(&["vdi-copy", &format!("uuid={disk}"), &format!("sr-uuid={}", site.local_sr())]);
    assert_eq!(site.tagged("one-2-disk-0").len(), 2);
    site.host.xe(&["vdi-destroy", &format!("uuid={disk}")]);
    let words = site.recorded("delete.2", "");
    assert!(words[0].ends_with("disk.0"), "{words:?}");
    let said = site.tm_recorded("delete.2", "");
    assert!(said.stderr.contains(&format!("WARN: VDI {copy}")), "{said:#?}");
    said.ok();
    assert!(site.is_there(&copy) && !site.has_disk_file(0));
}

#[test]
fn a_folder_that_is_not_the_vms_is_not_deleted() {
    let site = Site::new();
    let datastore = site.host.vm_folder(0, 1);
    let place = format!("xcp-a:{}", datastore.display());
    site.tm("delete", &[&place, "2", "0"]).failure();
    assert!(datastore.join("disk.0").exists());
}

#[test]
fn snapshots_go_back_and_forth() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let first = site.disk(0);
    site.host.write_vdi(&first, 0, b"zero");
    site.tm_recorded("snap_create", "").ok();
    site.host.write_vdi(&first, 0, b"one!");
    site.tm_recorded("snap_create.2", "").ok();
    site.host.write_vdi(&first, 0, b"now!");
    site.tm_recorded("snap_revert", "").ok();
    let second = site.disk(0);
    assert_eq!(&site.host.vdi_bytes(&second)[..4], b"zero");
    assert!(!site.is_there(&first));
    assert_eq!(site.tagged("one-2-disk-0"), [second.as_str()]);
    let disk = site.recorded("clone", &source)[1].clone();
    site.tm("snap_revert", &[&disk, "1", "2", "101"]).ok();
    assert_eq!(&site.host.vdi_bytes(&site.disk(0))[..4], b"one!");
    site.tm_recorded("snap_delete", "").ok();
    site.tm_recorded("snap_delete", "").ok();
    let line = site.tm("snap_revert", &[&disk, "1", "2", "101"]).failure();
    assert!(line.contains("the pool has no VDI one-snapshot-1-of-"), "{line}");
    site.tm_recorded("delete.2", "").ok();
    assert!(site.tagged(&format!("one-snapshots-of-{first}")).is_empty());
}

#[test]
fn a_disk_is_saved_as_an_image() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    site.host.write_vdi(&site.disk(0), 0, b"mine");
    let saved = site.ds("mkfs", "4", &site.message("mkfs.2", &[])).ok();
    site.tm_recorded("cpds", &saved).ok();
    let now = site.tagged(&format!("one-source-{saved}"));
    assert_eq!(&site.host.vdi_bytes(&now[0])[..4], b"mine");
    assert_eq!(site.tagged("one-image-4"), now);
    site.tm_recorded("cpds", &saved).ok();
    site.ds("rm", "4", &site.message("rm", &[("vdi-uuid-11316", &saved)])).ok();
    assert!(site.tagged("one-image-4").is_empty());
}

#[test]
fn a_disk_is_made_larger_but_a_running_vms_is_left_to_its_driver() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    site.tm_recorded("resize", "").ok();
    assert_eq!(site.vdi_param(&site.disk(0), "virtual-size"), (30 << 20).to_string());
    site.tm_recorded("resize", "").ok();
}

#[test]
fn the_vms_folder_moves_and_the_disks_stay() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let uuid = site.disk(0);
    for name in ["mv", "mv.2", "mv.3"] {
        site.tm_recorded(name, "").ok();
    }
    let (from, to) = (site.host.vm_folder(100, 2), site.host.path("datastores/100/elsewhere/2"));
    let words = [format!("xcp-a:{}", from.display()), format!("xcp-b:{}", to.display())];
    site.tm("mv", &[&words[0], &words[1], "2", "100"]).ok();
    assert_eq!(fs::read_to_string(to.join("disk.0")).unwrap().trim(), uuid);
    assert!(!from.exists());
    site.tm("mv", &[&words[0], &words[1], "2", "100"]).ok();
    assert!(to.join("disk.0").exists());
    // A file system that both hosts share: nothing is copied onto itself.
    let shared = format!("xcp-b:{}", to.display());
    site.tm("mv", &[&shared, &shared.replace("xcp-b", "xcp-a"), "2", "100"]).ok();
    assert!(to.join("disk.0").exists());
}

#[test]
fn a_migration_keeps_a_shared_folder_and_tells_the_other_transfer_managers() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let vm = "<VM><ID>2</ID><TEMPLATE><DISK><TM_MAD>ssh</TM_MAD></DISK><DISK><TM_MAD>xcp</TM_MAD></DISK></TEMPLATE></VM>";
    let tell = "#!/bin/sh\nread -r line || :; echo \"${0##*/} $* $line\" >>\"$TMPDIR/told\"\n";
    for script in ["premigrate", "postmigrate", "failmigrate"] {
        site.program(&format!("remotes/tm/ssh/{script}"), tell);
        let words = ["xcp-a", "xcp-b", "/var/lib/one//datastores/100/2", "2", "100"];
        said(&mut site.tm_command(script, &words), vm.as_bytes()).ok();
        assert!(site.has_disk_file(0), "{script}");
    }
    let told = fs::read_to_string(site.host.path("told")).unwrap();
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.starts_with("premigrate xcp-a xcp-b ") && told.contains(" 2 100 xcp PFZN"), "{told}");
}

#[test]
fn the_context_disc_is_opennebulas_to_make() {
    let site = Site::new();
    site.program("remotes/tm/ssh/context", "#!/bin/sh\necho \"$*\" >\"$TMPDIR/told\"\n");
    site.tm_recorded("context", "").ok();
    let told = fs::read_to_string(site.host.path("told")).unwrap();
    assert!(told.starts_with("/var/lib/one/vms/2/context.sh xcp-a:"), "{told}");
}

#[test]
fn a_system_datastore_is_monitored_as_its_sr() {
    let site = Site::new();
    let said = said(&mut site.tm_command("monitor", &["100"]), &site.message("monitor", &[])).ok();
    assert!(said.starts_with("USED_MB="), "{said}");
}
