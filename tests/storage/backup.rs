//! Backups: what lies in the VM's folder for OpenNebula to take away, and what is left in the pool.

use crate::common::steps::Wrong;
use crate::common::{SSH_HEAD, Said, feed};
use crate::site::Site;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "xcp-a:/var/lib/one//datastores/100/2";

fn run(site: &Site, script: &str, disks: &str) -> Said {
    site.tm(script, &[FOLDER, disks, "-", "0", "2", "100"])
}

#[test]
fn a_backup_holds_the_disk_and_the_pool_is_as_before() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    site.tm_recorded("mkswap", "").ok();
    site.host.write_vdi(&site.disk(0), 0, b"mine");
    let before = site.host.dump();
    for script in ["prebackup", "prebackup_live"] {
        run(&site, script, "0:5").ok();
        site.host.is_as(&before);
        let folder = site.host.vm_folder(100, 2).join("backup");
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["disk.0.0", "disk.5.0", "vm.xml"]);
        let vm = STANDARD.decode(fs::read_to_string(folder.join("vm.xml")).unwrap().trim()).unwrap();
        assert!(vm.starts_with(b"<VM><ID>2</ID>"), "{}", String::from_utf8_lossy(&vm));
        // A qcow2, as OpenNebula's own scripts make and take them; its zeros take no room on the host.
        assert!(fs::read(folder.join("disk.0.0")).unwrap().starts_with(b"QFI\xfb"));
        assert!(fs::metadata(folder.join("disk.0.0")).unwrap().blocks() * 512 < 1 << 20);
        // As an image it holds what the disk held.
        fs::copy(folder.join("disk.0.0"), site.host.path("restored")).unwrap();
        run(&site, &script.replace("pre", "post"), "0:5").ok();
        assert!(!folder.exists());
    }
    let answer = site.cp("restored", 10).ok();
    let restored = site.host.vdi_bytes(answer.split(' ').next().unwrap());
    assert!(restored == site.host.vdi_bytes(&site.disk(0)));
}

#[test]
fn the_files_lie_where_opennebula_looks_for_them() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let before = site.host.dump();
    let base = site.host.path("backups");
    let set = |value: &str| {
        let text = format!("SUPPORTED_FS=\"ext4,xfs\"\nBACKUP_BASE_PATH=\"{value}\"\n");
        site.program("remotes/etc/datastore/datastore.conf", &text);
    };
    set(&base.display().to_string());
    run(&site, "prebackup_live", "0").ok();
    let files = |path: &str| fs::read_dir(base.join(path)).map(Iterator::count).unwrap_or_default();
    assert_eq!(files("2/backup"), 2);
    assert!(!site.host.vm_folder(100, 2).join("backup").exists());
    run(&site, "postbackup_live", "0").ok();
    assert_eq!(files(""), 0);
    for (value, why) in [("backups", "full path"), ("/srv/../etc", "no path"), ("/", "no path")] {
        set(value);
        for script in ["prebackup", "postbackup"] {
            let line = run(&site, script, "0").failure();
            assert!(line.contains("BACKUP_BASE_PATH") && line.contains(why), "{line}");
        }
    }
    site.host.is_as(&before);
}

/// The process that OpenNebula's `backup_cancel` ends: it is called ruby, and its command line holds
/// `(pre)?backup(_live)? .*DEPLOY_ID `.
fn to_cancel(site: &Site, deploy_id: &str) -> Option<String> {
    let here = site.host.path("").display().to_string();
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let (_, after) = line.split_once("backup_live ").or_else(|| line.split_once("backup "))?;
        let is_it =
            read("comm") == b"ruby\n" && line.contains(&here) && after.contains(&format!("{deploy_id} "));
        is_it.then(|| entry.file_name().into_string().unwrap())
    })
}

#[test]
fn a_backup_can_be_cancelled() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let before = site.host.dump();
    let uuid = "11111111-2222-3333-4444-000000000001";
    for script in ["prebackup", "prebackup_live"] {
        site.host.sim(&["hang", "vdi-export"]);
        let mut command = site.tm_command(script, &[FOLDER, "0", uuid, "-", "2", "100"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        feed(&mut child, b"<VM><ID>2</ID></VM>");
        // Put there before the disks are exported.
        let is_exporting = || site.host.vm_folder(100, 2).join("backup/vm.xml").exists();
        let pid = (0..600)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(50));
                to_cancel(&site, uuid).filter(|_| is_exporting())
            })
            .expect("there is nothing to cancel");
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let said = Said::of(&child.wait_with_output().unwrap());
        assert!(said.failure().contains("stopped by a signal"));
        site.host.sim(&["clear"]);
        // What OpenNebula does next.
        site.tm(&script.replace("pre", "post"), &[FOLDER, "0", uuid, "-", "2", "100"]).ok();
        site.host.is_as(&before);
        assert!(!site.host.vm_folder(100, 2).join("backup").exists());
    }
}

#[test]
fn a_hosts_full_disk_is_said_and_nothing_is_left() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let before = site.host.dump();
    // The host's shell lets no file grow past 1 MB.
    site.program(
        "bin/ssh",
        &format!(
            "{SSH_HEAD}case $1 in *'dd of='*disk*) trap '' XFSZ; ulimit -f 1024 ;; esac\nexec sh -c \"$*\"\n"
        ),
    );
    let line = run(&site, "prebackup", "0").failure();
    assert!(line.contains("cannot back disk 0 up: to") && line.contains("File too large"), "{line}");
    site.host.is_as(&before);
    assert!(!site.host.vm_folder(100, 2).join("backup").exists());
    assert!(site.has_disk_file(0));
}

#[test]
fn a_backup_that_was_cut_short_is_cleared_by_the_next_step() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let words = [FOLDER, "0", "-", "0", "2", "100"];
    site.each(&|site| (site.tm_command("prebackup", &words), Vec::new()), &|site, step| {
        if step.said.code.is_some_and(|code| code != 0) {
            site.host.is_as_after(&step.before, format_args!("{step:#?}"));
        }
        run(site, "postbackup", "0").ok();
        site.host.is_as_after(&step.before, format_args!("{step:#?}"));
        assert!(site.has_disk_file(0));
    });
}

#[test]
fn a_disk_is_restored_in_its_place() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let first = site.disk(0);
    site.host.write_vdi(&first, 0, b"then");
    run(&site, "prebackup", "0").ok();
    fs::copy(site.host.vm_folder(100, 2).join("backup/disk.0.0"), site.host.path("taken")).unwrap();
    run(&site, "postbackup", "0").ok();
    site.host.write_vdi(&first, 0, b"now!");
    site.tm_recorded("snap_create", "").ok();

    site.has_backup("taken");
    let words = [FOLDER, "2", "9", "-1", "0"];
    let restore = |site: &Site| (site.tm_command("restore", &words), Vec::new());
    site.each_in(&[Wrong::AnswerLost, Wrong::Killed], &restore, &|site, step| {
        let now = site.host.vdi_bytes(&site.disk(0))[..4].to_vec();
        match step.said.code {
            Some(0) => assert_eq!(now, b"then", "{step:#?}"),
            Some(_) => assert_eq!(now, b"now!", "{step:#?}"),
            None => assert!(now == b"then" || now == b"now!"),
        }
        site.tm("restore", &words).ok();
        assert_eq!(&site.host.vdi_bytes(&site.disk(0))[..4], b"then");
        assert!(site.tagged("one-2-backup-of-disk-0").is_empty(), "{step:#?}");
        site.tm_recorded("snap_revert", "").ok();
        assert_eq!(&site.host.vdi_bytes(&site.disk(0))[..4], b"now!");
    });
    let told = fs::read_to_string(site.host.path("told")).unwrap();
    assert!(
        told.starts_with("<DS_DRIVER_ACTION_DATA><DATASTORE><ID>102") && told.ends_with("-i -1\n"),
        "{told}"
    );
}
