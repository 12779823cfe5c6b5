//! `install.sh`, run on an OpenNebula front-end made for each test.

// What clippy.toml allows in tests does not reach the functions they share.
#![allow(clippy::unwrap_used)]

#[path = "install/conf.rs"]
mod conf;
#[path = "install/copies.rs"]
mod copies;
#[path = "install/old_releases.rs"]
mod old_releases;
#[path = "install/refusals.rs"]
mod refusals;
#[path = "install/site.rs"]
mod site;
#[path = "install/sunstone_bundle.rs"]
mod sunstone_bundle;
#[path = "install/sunstone_module.rs"]
mod sunstone_module;
#[path = "install/upgrade.rs"]
mod upgrade;

use site::{LINKS, Site};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[test]
fn every_script_is_a_link_to_the_stub_and_every_folder_is_real() {
    let site = Site::new();
    site.run(&[]).done();
    let stub = fs::canonicalize(site.remotes().join("vmm/xcp/one-xcp.sh")).unwrap();
    for link in LINKS {
        let path = site.remotes().join(link);
        assert!(path.read_link().unwrap().is_relative(), "{link}");
        assert_eq!(fs::canonicalize(&path).unwrap(), stub, "{link}");
        for dir in Path::new(link).ancestors().skip(1) {
            assert!(site.remotes().join(dir).symlink_metadata().unwrap().is_dir(), "{}", dir.display());
        }
    }
}

#[test]
fn the_probe_folders_are_there_even_if_nothing_is_in_them() {
    let site = Site::new();
    site.release("0.1.0", &["vmm/xcp/deploy"]);
    site.run(&[]).done();
    for dir in ["host/beacon", "host/system", "host/monitor", "vm/status", "vm/monitor", "vm/snapshot"] {
        assert!(site.remotes().join("im/xcp-probes.d").join(dir).is_dir(), "{dir}");
    }
    assert!(site.remotes().join("im/xcp-probes.d/vm/execution").is_dir());
    assert!(site.remotes().join("im/xcp.d").is_dir());
}

#[test]
fn installing_again_changes_nothing() {
    let site = Site::new();
    site.run(&["--configure"]).done();
    let before = site.tree();
    let manifest = site.remotes().join("vmm/xcp/.one-xcp-manifest");
    let inode = fs::metadata(&manifest).unwrap().ino();
    assert!(site.run(&["--configure"]).done().starts_with("one-xcp 0.1.0 is installed in"));
    assert_eq!(site.tree(), before);
    assert_eq!(fs::metadata(&manifest).unwrap().ino(), inode);
}

#[test]
fn a_dry_run_says_what_the_real_one_does_and_does_nothing() {
    let site = Site::new();
    let before = site.tree();
    let said = site.run(&["--configure", "--dry-run"]).done();
    assert_eq!(site.tree(), before);
    let done = site.run(&["--configure"]).done();
    let done: Vec<&str> =
        done.lines().filter(|line| !line.starts_with("one-xcp 0.1.0 is installed")).collect();
    let said: Vec<&str> = said.lines().map(|line| line.strip_prefix("would ").unwrap_or(line)).collect();
    assert_eq!(said, done);

    let before = site.tree();
    site.run(&["--uninstall", "--configure", "--dry-run"]).done();
    assert_eq!(site.tree(), before);
}

#[test]
fn uninstalling_leaves_the_front_end_as_it_was() {
    let site = Site::new();
    let before = site.tree();
    site.run(&["--configure"]).done();
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.tree(), before);
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.tree(), before);
}

#[test]
fn uninstalling_keeps_and_names_what_the_administrator_changed_or_added() {
    let site = Site::new();
    site.run(&[]).done();
    site.write("var/remotes/etc/vmm/xcp/xcprc", "DEFAULT_SR=fast\n");
    fs::remove_file(site.remotes().join("vmm/xcp/poll")).unwrap();
    site.write("var/remotes/vmm/xcp/poll", "#!/bin/sh\n");
    site.write("var/remotes/im/xcp-probes.d/host/system/rack.sh", "#!/bin/sh\n");
    let said = site.run(&["--uninstall"]).done();
    for kept in ["etc/vmm/xcp/xcprc", "vmm/xcp/poll", "im/xcp-probes.d/host/system"] {
        assert!(said.contains(&format!("keep {kept}: ")), "{said}");
    }
    assert_eq!(site.read("var/remotes/etc/vmm/xcp/xcprc"), "DEFAULT_SR=fast\n");
    let tree = site.tree();
    let left: Vec<_> =
        tree.keys().filter_map(|path| path.to_str()).filter(|path| path.contains("xcp")).collect();
    assert_eq!(
        left,
        [
            "var/remotes/etc/vmm/xcp",
            "var/remotes/etc/vmm/xcp/xcprc",
            "var/remotes/im/xcp-probes.d",
            "var/remotes/im/xcp-probes.d/host",
            "var/remotes/im/xcp-probes.d/host/system",
            "var/remotes/im/xcp-probes.d/host/system/rack.sh",
            "var/remotes/vmm/xcp",
            "var/remotes/vmm/xcp/poll",
        ]
    );
}

#[test]
fn files_belong_to_whom_the_remotes_belong() {
    let site = Site::new();
    let remotes = site.remotes();
    if fs::metadata(&remotes).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&remotes, Some(9869), Some(9870)).unwrap();
    }
    site.run(&[]).done();
    let owner = fs::metadata(&remotes).unwrap();
    let ours =
        ["vmm/xcp", "vmm/xcp/one-xcp", "vmm/xcp/deploy", "vmm/xcp/.one-xcp-manifest", "etc/vmm/xcp/xcprc"];
    for path in ours.into_iter().chain(LINKS) {
        let metadata = remotes.join(path).symlink_metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (owner.uid(), owner.gid()), "{path}");
    }
}
