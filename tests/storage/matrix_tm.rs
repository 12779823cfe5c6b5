//! The rows of the scripts of `tm/xcp`.

use crate::matrix::{Failed, row, row_of_ssh, run};
use crate::site::Site;
use std::fs;
use std::process::Command;

/// The arguments of the scripts around a backup of VM 2's disk 0.
const BACKUP: [&str; 6] = ["xcp-a:/var/lib/one//datastores/100/2", "0", "-", "0", "2", "100"];

/// A site with a small image, and its clone as disk 0 of VM 2.
fn with_disk() -> (Site, String) {
    let site = Site::new();
    let source = site.small_image();
    site.tm_recorded("clone", &source).ok();
    (site, source)
}

/// The disk with snapshots 0 and 1, and other data than at the first.
fn with_snapshots() -> Site {
    let (site, _) = with_disk();
    site.tm_recorded("snap_create", "").ok();
    site.host.write_vdi(&site.disk(0), 0, b"later");
    let words = site.recorded("snap_create", "");
    site.tm("snap_create", &[&words[0], "1", "2", "101"]).ok();
    site
}

/// A script with the arguments that were recorded.
fn recorded(name: &str, source: &str) -> impl Fn(&Site) -> (Command, Vec<u8>) + Sync + use<> {
    let (name, source) = (name.to_owned(), source.to_owned());
    move |site| {
        let words = site.recorded(&name, &source);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (site.tm_command(name.split('.').next().unwrap(), &words), Vec::new())
    }
}

#[test]
fn clone() {
    let site = Site::new();
    let source = site.small_image();
    site.has_vm("<SIZE>4</SIZE><ORIGINAL_SIZE>2</ORIGINAL_SIZE>");
    row(&site, Failed::AsBefore, &recorded("clone", &source));
}

#[test]
fn clone_to_another_sr() {
    let site = Site::new();
    let source = site.small_image();
    site.system_datastore_is_local();
    row(&site, Failed::AsBefore, &recorded("clone", &source));
}

#[test]
fn clone_to_another_sr_of_an_image_in_use() {
    let site = Site::new();
    let source = site.small_image();
    site.in_use(&source);
    site.system_datastore_is_local();
    row(&site, Failed::AsBefore, &recorded("clone", &source));
}

#[test]
fn ln() {
    let site = Site::new();
    let source = site.small_image();
    row(&site, Failed::AsBefore, &recorded("ln", &source));
}

#[test]
fn mvds_of_a_disk_that_was_reverted() {
    let site = Site::new();
    let source = site.small_image();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    site.tm("snap_create", &[&disk, "0", "2", "101"]).ok();
    site.tm("snap_revert", &[&disk, "0", "2", "101"]).ok();
    row(&site, Failed::AsBefore, &recorded("mvds", &source));
}

#[test]
fn cpds() {
    let (site, _) = with_disk();
    let saved = site.ds("mkfs", "4", &site.message("mkfs.2", &[])).ok();
    row(&site, Failed::AsBefore, &recorded("cpds", &saved));
}

#[test]
fn cpds_to_another_sr() {
    let (site, _) = with_disk();
    let local = site.local_sr();
    let saved = site.ds("mkfs", "4", &site.message("mkfs.2", &[("Shared NFS", &local)])).ok();
    row(&site, Failed::AsBefore, &recorded("cpds", &saved));
}

#[test]
fn delete_of_a_disk() {
    let site = with_snapshots();
    row(&site, Failed::Onwards, &recorded("delete.2", ""));
}

#[test]
fn delete_of_a_vm_that_is_off() {
    let site = Site::new();
    let vm = site.host.deploy().ok();
    site.host.xe(&["vm-shutdown", &format!("uuid={vm}"), "force=true"]);
    row(&site, Failed::Onwards, &|site| {
        let place = format!("xcp-a:{}", site.host.vm_folder(0, 1).display());
        (site.tm_command("delete", &[&place, "1", "0"]), Vec::new())
    });
}

#[test]
fn mkimage() {
    let site = Site::new();
    row(&site, Failed::AsBefore, &recorded("mkimage", ""));
}

#[test]
fn mkswap() {
    let site = Site::new();
    row(&site, Failed::AsBefore, &recorded("mkswap", ""));
}

#[test]
fn resize() {
    let (site, _) = with_disk();
    row(&site, Failed::AsBefore, &recorded("resize", ""));
}

#[test]
fn snap_create_and_live() {
    let (site, _) = with_disk();
    row(&site, Failed::AsBefore, &recorded("snap_create", ""));
}

#[test]
fn snap_create_live_of_a_disk_in_use() {
    let (site, _) = with_disk();
    site.in_use(&site.disk(0));
    let words = site.recorded("snap_create", "");
    row(&site, Failed::AsBefore, &move |site| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (site.tm_command("snap_create_live", &words), Vec::new())
    });
}

#[test]
fn snap_revert() {
    let site = with_snapshots();
    row(&site, Failed::AsBefore, &recorded("snap_revert", ""));
}

#[test]
fn snap_delete() {
    let site = with_snapshots();
    row(&site, Failed::AsBefore, &recorded("snap_delete", ""));
}

#[test]
fn postmigrate_of_a_disk_that_moved() {
    let site = Site::new();
    let source = site.small_image();
    let folder = "/var/lib/one//datastores/0/1";
    let place = format!("xcp-a:{}", site.host.vm_folder(0, 1).join("disk.0").display());
    fs::remove_file(site.host.vm_folder(0, 1).join("disk.0")).unwrap();
    site.tm("ln", &[&format!("fe:{source}"), &place, "1", "101"]).ok();
    let vm = site.deploy_with_disk_on_sr();
    site.host.xe(&["vm-shutdown", &format!("uuid={vm}"), "force=true"]);
    site.host.xe(&["vm-start", &format!("uuid={vm}")]);
    let sr = site.local_sr_of(&site.host.host_of(&vm));
    site.host.xe(&["vdi-pool-migrate", &format!("uuid={source}"), &format!("sr-uuid={sr}")]);
    row(&site, Failed::Onwards, &|site| {
        (site.tm_command("postmigrate", &["xcp-b", "xcp-a", folder, "1", "0", "ssh"]), Vec::new())
    });
}

#[test]
fn prebackup() {
    let (site, _) = with_disk();
    row(&site, Failed::AsBefore, &|site| (site.tm_command("prebackup", &BACKUP), Vec::new()));
}

#[test]
fn prebackup_live_of_a_disk_in_use() {
    let (site, _) = with_disk();
    site.in_use(&site.disk(0));
    row(&site, Failed::AsBefore, &|site| (site.tm_command("prebackup_live", &BACKUP), Vec::new()));
}

#[test]
fn prebackup_and_postbackup_live_of_a_first_increment() {
    let config = "<MODE>INCREMENT</MODE><LAST_INCREMENT_ID>-1</LAST_INCREMENT_ID>";
    let vm = format!("<VM><ID>2</ID><BACKUPS><BACKUP_CONFIG>{config}</BACKUP_CONFIG></BACKUPS></VM>");
    let backup = |script: &'static str| {
        let vm = vm.clone().into_bytes();
        move |site: &Site| (site.tm_command(script, &BACKUP), vm.clone())
    };
    let (site, _) = with_disk();
    site.host.xe(&["vdi-enable-cbt", &format!("uuid={}", site.disk(0))]);
    row(&site, Failed::AsBefore, &backup("prebackup_live"));
    run(&site, &backup("prebackup_live")).ok();
    row(&site, Failed::Onwards, &backup("postbackup_live"));
}

/// A backup that was cut short has left the clone that it was made from.
#[test]
fn postbackup_of_a_backup_that_was_cut_short() {
    for script in ["postbackup", "postbackup_live"] {
        let (site, _) = with_disk();
        let vdi = format!("uuid={}", site.disk(0));
        site.tm("prebackup", &BACKUP).ok();
        let clone = site.host.xe(&["vdi-clone", &vdi, "new-name-label=one-2-backup-of-disk-0"]);
        site.host.xe(&[
            "vdi-param-add",
            &format!("uuid={clone}"),
            "param-name=tags",
            "param-key=one-2-backup-of-disk-0",
        ]);
        row(&site, Failed::Onwards, &|site| (site.tm_command(script, &BACKUP), Vec::new()));
        site.tm(script, &BACKUP).ok();
        assert!(!site.is_there(&clone));
    }
}

#[test]
fn restore() {
    let (site, _) = with_disk();
    site.tm("prebackup", &BACKUP).ok();
    fs::copy(site.host.vm_folder(100, 2).join("backup/disk.0.0"), site.host.path("taken")).unwrap();
    site.tm("postbackup", &BACKUP).ok();
    site.host.write_vdi(&site.disk(0), 0, b"now!");
    site.has_backup("taken");
    let words = [BACKUP[0], "2", "9", "-1", "0"];
    row(&site, Failed::AsBefore, &|site| (site.tm_command("restore", &words), Vec::new()));
}

/// VM 2's folder with the disk, on a file system that both hosts share.
fn migration(script: &'static str) -> impl Fn(&Site) -> (Command, Vec<u8>) + Sync + use<> {
    move |site| {
        let words = ["xcp-a", "xcp-b", "/var/lib/one//datastores/100/2", "2", "100"];
        (site.tm_command(script, &words), b"<VM><ID>2</ID><TEMPLATE/></VM>".to_vec())
    }
}

#[test]
fn ssh_of_disks_that_come() {
    let site = Site::new();
    let source = site.small_image();
    for name in ["clone", "ln", "mkimage"] {
        row_of_ssh(&site, Failed::AsBefore, &recorded(name, &source));
    }
}

#[test]
fn ssh_of_disks_that_go() {
    let site = with_snapshots();
    row_of_ssh(&site, Failed::Onwards, &recorded("delete.2", ""));
    site.tm_recorded("delete.2", "").ok();
    row_of_ssh(&site, Failed::Onwards, &recorded("delete.4", ""));
}

#[test]
fn ssh_of_snap_revert() {
    let site = with_snapshots();
    row_of_ssh(&site, Failed::AsBefore, &recorded("snap_revert", ""));
}

#[test]
fn ssh_of_mv() {
    let (site, _) = with_disk();
    row_of_ssh(&site, Failed::Onwards, &|site| {
        let from = "xcp-a:/var/lib/one//datastores/100/2";
        let to = "xcp-b:/var/lib/one//datastores/103/2";
        (site.tm_command("mv", &[from, to, "2", "100"]), Vec::new())
    });
}

#[test]
fn ssh_of_migrations() {
    let (site, _) = with_disk();
    for script in ["premigrate", "postmigrate", "failmigrate"] {
        row_of_ssh(&site, Failed::AsBefore, &migration(script));
    }
}

#[test]
fn ssh_of_prebackup() {
    let (site, _) = with_disk();
    row_of_ssh(&site, Failed::AsBefore, &|site| (site.tm_command("prebackup", &BACKUP), Vec::new()));
}
