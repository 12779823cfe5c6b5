//! OpenNebula's own scripts that ours call, found in the folders of each release as its installer lays them out
//! (`tests/recorded/remotes`: the names of its files below `remotes/tm` and `remotes/datastore`).

use super::site::Site;
use crate::common::said;
use std::fs;
use std::path::PathBuf;

/// Every script of OpenNebula prints what `cp` and `stat` want to read, and notes how it was called.
const SCRIPT: &str = "#!/bin/sh\necho \"$0 $*\" >>\"$TMPDIR/called\"\ncase $0 in\n*/stat) echo 2;;\n\
                      */downloader.sh) head -c 2097152 /dev/zero;;\nesac\n";
const URL: &str = "http://example.org/disk.raw";

fn each_release(test: impl Fn(&str, &Site)) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/remotes");
    let mut releases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let site = Site::new();
        for file in fs::read_to_string(&path).unwrap().lines() {
            site.program(&format!("remotes/{file}"), SCRIPT);
        }
        test(path.file_stem().unwrap().to_str().unwrap(), &site);
        releases += 1;
    }
    assert!(releases >= 6, "{releases}");
}

fn called(site: &Site) -> String {
    fs::read_to_string(site.host.path("called")).unwrap_or_default()
}

#[test]
fn the_context_disc_is_made_by_a_script_that_each_release_installs() {
    each_release(|release, site| {
        site.tm_recorded("context", "").ok();
        let called = called(site);
        assert!(
            called.contains("/tm/ssh/context /var/lib/one/vms/2/context.sh xcp-a:"),
            "{release}: {called}"
        );
    });
}

#[test]
fn an_image_from_a_url_is_sized_and_copied_by_scripts_that_each_release_installs() {
    each_release(|release, site| {
        assert_eq!(site.ds("stat", "0", &site.cp_message_of("stat", URL)).ok(), "2", "{release}");
        assert!(site.cp(URL, 2).ok().ends_with(" raw"), "{release}");
        let called = called(site);
        assert!(called.contains("/datastore/fs/stat 0\n"), "{release}: {called}");
        assert!(called.contains("/datastore/downloader.sh "), "{release}: {called}");
    });
}

#[test]
fn opennebulas_stat_gets_the_message_in_the_way_that_ours_got_it() {
    let site = Site::new();
    site.program(
        "remotes/datastore/fs/stat",
        "#!/bin/sh\n[ \"$2\" = 0 ] && [ \"${#1}\" -gt 99 ] && echo 9\n",
    );
    let message = String::from_utf8(site.cp_message_of("stat", URL)).unwrap();
    let mut command = site.host.command(site.host.path("remotes/datastore/xcp/stat"));
    assert_eq!(said(command.args([&message, "0"]), b"").ok(), "9");
}

#[test]
fn a_size_that_is_none_is_refused() {
    let site = Site::new();
    for answer in ["", "0", "-1", "many", "<html>"] {
        site.program("remotes/datastore/fs/stat", &format!("#!/bin/sh\necho '{answer}'\n"));
        let line = site.ds("stat", "0", &site.cp_message_of("stat", URL)).failure();
        assert!(line.contains("not a size in MB"), "{answer}: {line}");
    }
}

#[test]
fn what_is_not_installed_is_named() {
    let site = Site::new();
    let line = site.ds("stat", "0", &site.cp_message_of("stat", URL)).failure();
    assert!(line.contains("remotes/datastore/fs/stat is not installed"), "{line}");
    let line = site.tm_recorded("context", "").failure();
    assert!(line.contains("remotes/tm/ssh/context, is not installed"), "{line}");
}
