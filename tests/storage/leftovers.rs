//! What a killed script has left, and what only looks like it.

use crate::common::steps::Wrong;
use crate::common::{PROGRAM, said};
use crate::site::Site;
use std::fs;

/// VM 2 with a disk that has a snapshot.
fn with_disk() -> (Site, String) {
    let site = Site::new();
    let source = site.small_image();
    site.tm_recorded("clone", &source).ok();
    site.tm_recorded("snap_create", "").ok();
    (site, source)
}

#[test]
fn what_somebody_has_cloned_or_copied_by_hand_stays() {
    let (site, source) = with_disk();
    let disk = site.disk(0);
    let snapshot = site.tagged(&format!("one-snapshots-of-{disk}")).remove(0);
    let clone = |of: &str| site.host.xe(&["vdi-clone", &format!("uuid={of}")]);
    let sr = format!("sr-uuid={}", site.vdi_param(&disk, "sr-uuid"));
    let copy = site.host.xe(&["vdi-copy", &format!("uuid={disk}"), &sr]);
    let theirs = [clone(&disk), clone(&snapshot), clone(&source), copy];
    // Each looks for what a killed script may have left under the same name.
    site.tm_recorded("snap_create", "").ok();
    site.tm("snap_delete", &[&site.recorded("snap_create", "")[0], "0", "2", "101"]).ok();
    site.tm_recorded("snap_create", "").ok();
    site.tm_recorded("snap_revert", "").ok();
    site.tm_recorded("clone", &source).ok();
    site.host.sim(&["fail", "vdi-clone", "--after"]);
    site.tm("snap_create", &[&site.recorded("snap_create", "")[0], "1", "2", "101"]).failure();
    site.host.sim(&["clear"]);
    site.tm_recorded("delete.2", "").ok();
    let shown = site.gc(&["--yes"]).ok();
    for vdi in &theirs {
        assert!(site.is_there(vdi), "{vdi} of {theirs:?} is gone: {shown}");
    }
    assert!(!site.is_there(&disk) && !site.is_there(&snapshot));
    let kept = shown.lines().filter(|line| line.starts_with("kept")).count();
    assert_eq!(kept, 3, "{shown}");
}

#[test]
fn what_is_young_may_be_in_the_making() {
    let (site, source) = with_disk();
    let words = site.recorded("snap_revert", "");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    site.each_in(
        &[Wrong::Killed],
        &|site| (site.tm_command("snap_revert", &words), Vec::new()),
        &|site, step| {
            let mut gc = site.host.command(PROGRAM);
            let left = site.host.dump();
            let shown = said(gc.args(["gc", "--yes", "--vms-of", "-"]), b"1 2").ok();
            assert!(shown.is_empty(), "{shown} after {step:#?}");
            site.host.is_as(&left);
            assert!(site.is_there(&source));
        },
    );
}

#[test]
fn a_guests_writes_after_a_revert_that_was_cut_short_are_in_the_image() {
    let site = Site::new();
    let source = site.small_image();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    site.tm("snap_create", &[&disk, "0", "2", "101"]).ok();
    let words = [disk.as_str(), "0", "2", "101"];
    site.each_in(
        &[Wrong::Killed],
        &|site| (site.tm_command("snap_revert", &words), Vec::new()),
        &|site, step| {
            // The VM runs on what disk.N names, and OpenNebula gives the image back after it.
            site.host.write_vdi(&site.disk(1), 0, b"guest");
            site.tm_recorded("mvds", &source).ok();
            site.tidy();
            site.tm_recorded("ln", &source).ok();
            assert_eq!(site.host.vdi_start(&site.disk(1)), "guest", "{step:#?}");
        },
    );
}

#[test]
fn images_that_opennebula_does_not_have_are_shown_and_kept() {
    let site = Site::new();
    let source = site.small_image();
    let untold = site.cp("small.raw", 2).ok().split(' ').next().unwrap().to_owned();
    let young = site.ds("mkfs", "3", &site.message("mkfs", &[])).ok();
    let list = format!(
        "<IMAGE_POOL><IMAGE><ID>1</ID><SOURCE>/var/lib/one/x</SOURCE></IMAGE>\
         <IMAGE><ID>2</ID><SOURCE>{source}</SOURCE></IMAGE></IMAGE_POOL>"
    );
    fs::write(site.host.path("images.xml"), list).unwrap();
    let before = site.host.dump();
    let shown = site.gc(&["--yes", "--images-of", "images.xml"]).ok();
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(
        shown.starts_with(&format!("kept     VDI {untold}, one-image-2: OpenNebula has no image")),
        "{shown}"
    );
    assert!(!shown.contains(&young));
    site.host.is_as(&before);
    fs::write(site.host.path("images.xml"), "<IMAGE_POOL/>").unwrap();
    site.gc(&["--images-of", "images.xml"]).failure();
}

#[test]
fn a_disk_of_a_vm_that_is_no_more_is_shown_and_kept() {
    let (site, _) = with_disk();
    let mut gc = site.host.command(PROGRAM);
    let shown = said(gc.args(["gc", "--yes", "--vms-of", "-"]), b"5").ok();
    assert!(
        shown.starts_with("kept     VDI ") && shown.contains("of a VM that OpenNebula has no more"),
        "{shown}"
    );
    let disk = site.disk(0);
    assert!(site.is_there(&disk));
    let bytes = site.host.vdi_bytes(&disk);
    fs::create_dir(site.host.path("saved")).unwrap();
    let mut gc = site.host.command(PROGRAM);
    said(gc.args(["gc", "--yes", "--save-to", "saved", "--vms-of", "-"]), b"5").ok();
    assert!(!site.is_there(&disk));
    let saved = fs::read(site.host.path(&format!("saved/one-2-disk-0-{disk}.raw"))).unwrap();
    assert!(saved.starts_with(&bytes));
    let mut gc = site.host.command(PROGRAM);
    assert_eq!(said(gc.args(["gc", "--vms-of", "-"]), b"5").ok(), "");
}

#[test]
fn a_snapshot_that_a_write_back_has_left_is_shown_and_one_of_a_vms_snapshot_is_not() {
    let site = Site::new();
    let vm = site.host.deploy().ok();
    let disk = site.host.vdi_in(&vm, "0");
    site.host.xe(&["vm-snapshot", &format!("uuid={vm}"), "new-name-label=theirs"]);
    assert_eq!(site.gc(&["--yes"]).ok(), "");
    let left = site.host.xe(&["vdi-snapshot", &format!("uuid={disk}")]);
    let shown = site.gc(&["--yes"]).ok();
    assert!(shown.starts_with(&format!("kept     VDI {left}, ")) && shown.lines().count() == 1, "{shown}");
    assert!(site.is_there(&left));
}

#[test]
fn a_snapshot_whose_disk_went_with_its_vm_is_named_and_stays() {
    let (site, _) = with_disk();
    let snapshot_of = |vdi: &str| site.host.xe(&["vdi-snapshot", &format!("uuid={vdi}")]);
    let disk = site.disk(0);
    let sr = format!("sr-uuid={}", site.vdi_param(&disk, "sr-uuid"));
    let foreign = site.host.xe(&["vdi-create", &sr, "name-label=theirs", "virtual-size=1MiB", "type=user"]);
    let (ours, theirs) = (snapshot_of(&disk), snapshot_of(&foreign));
    site.host.xe(&["vdi-destroy", &format!("uuid={foreign}")]);
    assert_eq!(site.gc(&[]).ok(), "");
    site.tm_recorded("delete.2", "").ok();
    assert!(!site.is_there(&disk));
    let left = site.host.dump();
    let shown = site.gc(&["--yes"]).ok();
    assert!(shown.starts_with(&format!("kept     VDI {ours}, one-2-disk-0: ")), "{shown}");
    assert!(shown.ends_with(&format!("xe vdi-destroy uuid={ours}")), "{shown}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
    let mut gc = site.host.command(PROGRAM);
    let with_list = said(gc.args(["gc", "--yes", "--vms-of", "-"]), b"9").ok();
    assert!(with_list.starts_with(&format!("kept     VDI {ours}, one-2-disk-0: ")), "{with_list}");
    assert!(with_list.contains("--save-to DIR writes it to a file and removes it"), "{with_list}");
    site.host.is_as(&left);
    fs::create_dir(site.host.path("saved")).unwrap();
    let mut gc = site.host.command(PROGRAM);
    said(gc.args(["gc", "--yes", "--save-to", "saved", "--vms-of", "-"]), b"9").ok();
    assert!(site.host.path(&format!("saved/one-2-disk-0-{ours}.raw")).exists() && !site.is_there(&ours));
    assert!(site.is_there(&theirs));
}
