//! A newer release over an older one, with what the administrator changed in between.

use crate::site::{LINKS, Site};
use std::fs;

const RC: &str = "var/remotes/etc/vmm/xcp/xcprc";

#[test]
fn an_upgrade_replaces_the_program_adds_new_scripts_and_removes_old_ones() {
    let site = Site::new();
    site.release("0.1.0", &["vmm/xcp/deploy", "vmm/xcp/old_action", "tm/xcp/clone"]);
    site.run(&[]).done();
    assert!(site.remotes().join("tm/xcp/clone").is_file());
    site.release("0.2.0", &LINKS);
    let said = site.run(&[]).done();
    assert!(
        said.contains("install vmm/xcp/one-xcp\n") && said.contains("one-xcp 0.2.0 is installed"),
        "{said}"
    );
    for gone in ["vmm/xcp/old_action", "tm"] {
        assert!(site.remotes().join(gone).symlink_metadata().is_err(), "{gone}");
    }

    let fresh = Site::new();
    fresh.release("0.2.0", &LINKS);
    fresh.run(&[]).done();
    assert_eq!(site.tree(), fresh.tree());
}

#[test]
fn settings_nobody_changed_are_replaced() {
    let site = Site::new();
    site.run(&[]).done();
    fs::write(site.package().join("remotes/etc/vmm/xcp/xcprc"), "#NEW=\n").unwrap();
    site.run(&[]).done();
    assert_eq!(site.read(RC), "#NEW=\n");
    assert!(!site.one_location().join(RC.to_owned() + ".new").exists());
}

#[test]
fn settings_the_administrator_changed_stay_and_the_new_ones_go_beside() {
    let site = Site::new();
    site.run(&[]).done();
    site.write(RC, "DEFAULT_SR=fast\n");
    fs::write(site.package().join("remotes/etc/vmm/xcp/xcprc"), "#NEW=\n").unwrap();
    for _ in 0..2 {
        let said = site.run(&[]).done();
        assert!(
            said.contains("keep etc/vmm/xcp/xcprc: it was changed; the one of this version is "),
            "{said}"
        );
        assert_eq!(site.read(RC), "DEFAULT_SR=fast\n");
        assert_eq!(site.read(&format!("{RC}.new")), "#NEW=\n");
    }
    // Once taken over, there is nothing to compare any more.
    site.write(RC, "#NEW=\n");
    site.run(&[]).done();
    assert!(!site.one_location().join(RC.to_owned() + ".new").exists());
}

#[test]
fn settings_from_before_the_first_installation_stay() {
    let site = Site::new();
    fs::create_dir(site.remotes().join("etc/vmm/xcp")).unwrap();
    site.write(RC, "XE=/opt/xe\n");
    let before = site.tree();
    site.run(&[]).done();
    assert_eq!(site.read(RC), "XE=/opt/xe\n");
    site.run(&["--uninstall"]).done();
    assert_eq!(site.tree(), before);
}

#[test]
fn a_script_the_administrator_replaced_stays() {
    let site = Site::new();
    site.run(&[]).done();
    site.link("../../vmm/kvm/deploy", "var/remotes/vmm/xcp/deploy");
    site.release("0.2.0", &LINKS);
    let said = site.run(&[]).done();
    assert!(said.contains("keep vmm/xcp/deploy: "), "{said}");
    assert_eq!(site.read("var/remotes/vmm/xcp/deploy"), "#!/bin/sh\n");
}
