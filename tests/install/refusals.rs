//! What `install.sh` refuses to begin, and that a failure leaves the front-end as it was.

use crate::site::{LINKS, Run, Site, finish, write_program};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn refuses(site: &Site, run: impl Fn(&Site) -> Run, why: &str) {
    let before = site.tree();
    let said = run(site).refused();
    assert!(said.contains(why), "{said}");
    assert_eq!(site.tree(), before);
}

fn install(site: &Site) -> Run {
    site.run(&["--configure"])
}

#[test]
fn an_unknown_option_is_answered_with_the_usage() {
    let site = Site::new();
    let before = site.tree();
    for args in [&["--remove"][..], &["here"], &["--binary"], &["--etc", ""]] {
        let run = site.run(args);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("\nUsage: install.sh "), "{}", run.stderr);
        assert_eq!(site.tree(), before);
    }
}

#[test]
fn a_front_end_without_opennebula() {
    let site = Site::new();
    refuses(
        &site,
        |site| site.run(&["--remotes", "/nonexistent"]),
        "there are no OpenNebula remotes in /nonexistent",
    );
    refuses(
        &site,
        |site| site.run(&["--configure", "--etc", "/nonexistent"]),
        "no OpenNebula configuration in",
    );
}

#[test]
fn a_program_that_is_not_ours_or_does_not_run() {
    let site = Site::new();
    refuses(&site, |site| site.run(&["--binary", "/bin/true"]), "/bin/true is not one-xcp, or does not run");
    refuses(&site, |site| site.run(&["--binary", "/nonexistent"]), "/nonexistent is not a file");
    let program = site.package().join("one-xcp");
    fs::set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
    refuses(&site, install, "one-xcp is not executable");
    fs::remove_file(&program).unwrap();
    refuses(&site, install, "there is no one-xcp beside install.sh");
}

#[test]
fn a_program_naming_scripts_outside_the_remotes() {
    let site = Site::new();
    for link in ["/etc/passwd", "vmm/../../x", "vmm/xcp/*", "hooks/xcp/x", "vmm", "vmm/x"] {
        site.release("0.1.0", &[link]);
        refuses(&site, install, "names a script that is no path below remotes");
    }
    site.release("0.1.0", &[]);
    refuses(&site, install, "names no scripts");
}

#[test]
fn two_modes_at_once_are_answered_with_the_usage() {
    let site = Site::new();
    install(&site).done();
    let before = site.tree();
    for args in [["--check", "--uninstall"], ["--uninstall", "--check"]] {
        let run = site.run(&args);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("exclude each other"), "{}", run.stderr);
        assert_eq!(site.tree(), before);
    }
}

#[test]
fn a_program_that_is_too_new_for_dom0_is_installed_with_a_word_of_it() {
    let site = Site::new();
    for (needs, word) in [("GLIBC_2.4 GLIBC_2.17", ""), ("GLIBC_2.34 GLIBC_2.4", "needs glibc 2.34")] {
        let program = site.package().join("one-xcp");
        let text = fs::read_to_string(&program).unwrap();
        write_program(&program, &format!("{text} {needs}\n"));
        let said = install(&site).done();
        assert!(said.contains(&format!(", from {}", program.display())), "{said}");
        assert_eq!(said.contains("needs glibc"), !word.is_empty(), "{said}");
        assert!(said.contains(word), "{said}");
        assert!(!site.run(&["--frontend"]).done().contains("needs glibc"));
    }
}

#[test]
fn a_build_beside_install_sh_comes_before_the_packed_program() {
    let site = Site::new();
    for profile in ["release", "dist"] {
        let built = site.package().join("target").join(profile);
        fs::create_dir_all(&built).unwrap();
        write_program(&built.join("one-xcp"), "#!/bin/sh\nexit 1\n");
        refuses(&site, install, &format!("target/{profile}/one-xcp is not one-xcp"));
    }
}

#[test]
fn the_scripts_of_another_driver_are_not_replaced() {
    let site = Site::new();
    fs::create_dir(site.remotes().join("vmm/xcp")).unwrap();
    site.write("var/remotes/vmm/xcp/deploy", "#!/usr/bin/env ruby\n");
    site.link("/nonexistent", "var/remotes/vmm/xcp/poll");
    refuses(&site, install, "files of another driver, move them away first: vmm/xcp/deploy vmm/xcp/poll");
}

#[test]
fn a_folder_that_is_a_link_or_a_file() {
    for dir in ["vmm/xcp", "im/xcp.d", "im/xcp-probes.d"] {
        let site = Site::new();
        site.link("/", &format!("var/remotes/{dir}"));
        refuses(&site, install, "is a link: OpenNebula copies no linked folders");
        fs::remove_file(site.remotes().join(dir)).unwrap();
        site.write(&format!("var/remotes/{dir}"), "");
        refuses(&site, install, "is not a folder");
    }
}

#[test]
fn settings_may_be_kept_elsewhere_and_so_may_all_remotes() {
    let site = Site::new();
    let settings = site.one_location().join("settings");
    fs::rename(site.remotes().join("etc"), &settings).unwrap();
    site.link(settings.to_str().unwrap(), "var/remotes/etc");
    fs::rename(site.remotes(), site.elsewhere()).unwrap();
    site.link("../../else where", "var/remotes");
    site.run(&[]).done();
    assert!(settings.join("vmm/xcp/xcprc").is_file());
    assert!(site.elsewhere().join("vmm/xcp/one-xcp").is_file());
}

#[test]
fn a_folder_without_write_permission() {
    let site = Site::new();
    fs::set_permissions(site.remotes().join("im"), Permissions::from_mode(0o555)).unwrap();
    refuses(&site, |site| site.run_as_stranger(&[]), "cannot write to ");
    fs::set_permissions(site.remotes().join("im"), Permissions::from_mode(0o755)).unwrap();
    site.run(&["--configure"]).done();
    fs::set_permissions(site.remotes().join("vmm/xcp"), Permissions::from_mode(0o555)).unwrap();
    refuses(&site, |site| site.run_as_stranger(&["--uninstall"]), "cannot write to ");
}

/// A limit on the size of files stands for a full disk: either way `cp` fails half-way.
#[test]
fn a_full_disk_leaves_the_version_that_was_there() {
    let site = Site::new();
    let full_disk = |site: &Site| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 100; trap '' XFSZ; exec sh \"$0\" --configure"]);
        finish(command.arg(site.package().join("install.sh")).env("ONE_LOCATION", site.one_location()))
    };
    refuses(&site, full_disk, "cannot copy vmm/xcp/one-xcp: ");
    site.run(&[]).done();
    site.release("0.2.0", &LINKS);
    refuses(&site, full_disk, "cannot copy vmm/xcp/one-xcp: ");
}

#[test]
fn a_second_installation_at_the_same_time() {
    let site = Site::new();
    fs::create_dir(site.remotes().join(".one-xcp-install")).unwrap();
    refuses(&site, install, "another install.sh is at work, or one was killed");
}

#[test]
fn a_manifest_leading_out_of_the_remotes() {
    let site = Site::new();
    site.run(&[]).done();
    let manifest = "var/remotes/vmm/xcp/.one-xcp-manifest";
    site.write(manifest, &(site.read(manifest) + "link ../.. vmm/../../../etc/oned.conf\n"));
    refuses(&site, |site| site.run(&["--uninstall"]), "is damaged: ");
}
