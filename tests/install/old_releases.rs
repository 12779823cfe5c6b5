//! Front-ends of OpenNebula before 5.12, without onemonitord.

use crate::site::Site;
use std::fs;

/// `oned.conf` of 4.14, in its own spelling.
const LISTS: &str = "IM_MAD = [\n      name       = \"kvm\",\n      executable = \"one_im_ssh\",\n      \
    arguments  = \"-r 3 -t 15 kvm\" ]\n\nTM_MAD = [\n    executable = \"one_tm\",\n    \
    arguments = \"-t 15 -d dummy,lvm,ssh\"\n]\n\nDATASTORE_MAD = [\n    executable = \"one_datastore\",\n    \
    arguments  = \"-t 15 -d dummy,fs\"\n]\n";

/// A front-end of a release, or of one before 4.4, which has no VERSION.
fn front_end(release: Option<&str>) -> Site {
    let site = Site::new();
    if let Some(release) = release {
        site.write("var/remotes/VERSION", release);
    }
    site.write("etc/oned.conf", LISTS);
    fs::remove_file(site.etc().join("monitord.conf")).unwrap();
    site
}

/// What stands between our marks, up to the second one.
fn ours(site: &Site) -> String {
    let conf = site.read("etc/oned.conf");
    let (_, rest) = conf.split_once("# >>> one-xcp").unwrap();
    rest.split_once("# <<< one-xcp <<<\n").unwrap().0.to_owned()
}

/// The ARGUMENTS of our VM_MAD and IM_MAD.
fn arguments(part: &str) -> Vec<String> {
    let lines = part.lines().filter(|line| line.trim_start().starts_with("ARGUMENTS"));
    lines.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn oned_gets_both_drivers_with_the_options_they_know_in_that_release() {
    for (release, vmm, im) in [
        (Some("5.10.5\n"), "-t 15 -r 0 xcp -p", "-r 3 -t 15 -w 90 xcp"),
        (Some("5.0.2"), "-t 15 -r 0 xcp -p", "-r 3 -t 15 xcp"),
        (Some("4.8.0"), "-t 15 -r 0 xcp", "-r 3 -t 15 xcp"),
        (None, "-t 15 -r 0 xcp", "-r 3 -t 15 xcp"),
    ] {
        let site = front_end(release);
        let before = site.tree();
        let said = site.run(&["--configure"]).done();
        let on_dummy = release.is_none_or(|release| release.starts_with('4'));
        assert_eq!(said.contains(" -i xcp -v xcp -n dummy\n"), on_dummy, "{said}");
        let part = ours(&site);
        assert_eq!(arguments(&part), [vmm, im], "{release:?}");
        for mad in ["\nVM_MAD = [\n", "\nIM_MAD = [\n", "\"one_im_ssh\"", "\nTM_MAD_CONF = ["] {
            assert_eq!(part.matches(mad).count(), 1, "{part}");
        }
        assert!(!part.contains("THREADS"), "{part}");
        assert!(!site.etc().join("monitord.conf").exists());
        let conf = site.read("etc/oned.conf");
        assert!(conf.contains("-d dummy,lvm,ssh,xcp\"") && conf.contains("-d dummy,fs,xcp\""), "{conf}");
        let once = site.tree();
        site.run(&["--configure"]).done();
        assert_eq!(site.tree(), once);
        site.run(&["--configure", "--frontend"]).done();
        assert!(ours(&site).contains("\"one_im_sh\""));
        site.run(&["--uninstall", "--configure"]).done();
        assert_eq!(site.tree(), before);
    }
}

#[test]
fn from_5_12_on_onemonitord_has_the_driver() {
    for release in ["5.12.0.4", "6.0.0.2", "6.10.5\n", "7.4.0"] {
        let site = Site::new();
        site.write("var/remotes/VERSION", release);
        site.run(&["--configure"]).done();
        assert_eq!(arguments(&ours(&site)), ["-t 15 -r 0 xcp -p"], "{release}");
        let conf = site.read("etc/monitord.conf");
        assert!(conf.contains("-r 3 -t 15 -w 90 xcp\",\n    THREADS       = 0\n]"), "{conf}");
    }
    let site = front_end(Some("5.12.0.4"));
    assert!(site.run(&["--configure"]).refused().contains("there is no "));
}

#[test]
fn an_upgrade_of_opennebula_takes_the_driver_to_onemonitord() {
    let site = front_end(Some("5.10.5"));
    site.run(&["--configure"]).done();
    site.write("var/remotes/VERSION", "6.10.5");
    site.write("etc/monitord.conf", "");
    site.run(&["--configure"]).done();
    assert!(!ours(&site).contains("IM_MAD"), "{}", ours(&site));
    assert!(site.read("etc/monitord.conf").contains("IM_MAD = [\n"));
}

#[test]
fn a_driver_that_the_administrator_has_named_so_is_left_alone() {
    let site = front_end(Some("5.10.5"));
    let entry = "IM_MAD = [ NAME = \"xcp\", EXECUTABLE = \"one_im_ssh\", ARGUMENTS = \"xcp\" ]\n";
    site.write("etc/oned.conf", &(LISTS.to_owned() + entry));
    let said = site.run(&["--configure"]).done();
    assert!(said.contains("oned.conf: its IM_MAD of the name xcp is not from install.sh"), "{said}");
    let part = ours(&site);
    assert!(part.contains("VM_MAD = [") && !part.contains("IM_MAD"), "{part}");
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.read("etc/oned.conf"), LISTS.to_owned() + entry);
}

#[test]
fn what_is_printed_is_for_that_release() {
    let site = front_end(Some("5.0.2"));
    let said = site.run(&[]).done();
    assert!(!said.contains("monitord.conf") && said.contains("\"-r 3 -t 15 xcp\"\n]\n"), "{said}");
    site.write("var/remotes/VERSION", "7.4.0");
    assert!(site.run(&[]).done().contains("monitord.conf:\n\nIM_MAD = [\n"));
}
