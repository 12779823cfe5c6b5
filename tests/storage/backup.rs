//! Backups: what lies in the VM's folder for OpenNebula to take away, and what is left in the pool.

use crate::common::Said;
use crate::site::Site;
use std::fs;

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
        assert_eq!(names, ["disk.0.0", "disk.5.0"]);
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
fn a_hosts_full_disk_is_said_and_nothing_is_left() {
    let site = Site::new();
    let source = site.image();
    site.tm_recorded("clone", &source).ok();
    let before = site.host.dump();
    // The host's shell lets no file grow past 1 MB.
    site.program(
        "bin/ssh",
        "#!/bin/bash\n[ \"$1\" = -o ] && shift 2\nshift\ncase $1 in *'cat > '*) trap '' XFSZ; ulimit -f 1024 ;; esac\n\
         exec sh -c \"$*\"\n",
    );
    let line = run(&site, "prebackup", "0").failure();
    assert!(line.contains("cannot back disk 0 up to") && line.contains("File too large"), "{line}");
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
            assert_eq!(site.host.dump(), step.before, "{step:#?}");
        }
        run(site, "postbackup", "0").ok();
        assert_eq!(site.host.dump(), step.before, "{step:#?}");
        assert!(site.has_disk_file(0));
    });
}
