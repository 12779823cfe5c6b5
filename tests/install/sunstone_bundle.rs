//! `install.sh --sunstone` with FireEdge 6: two places of its one bundle.

use crate::site::{Run, Site};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const BUNDLE: &str = "lib/fireedge/dist/client/bundle.sunstone.js";
const PRISTINE: &str = "lib/fireedge/dist/client/bundle.sunstone.js.one-xcp-orig";
const SIX_TEN: &str = include_str!("fireedge/bundle-6.10.js");
const BUNDLES: [(&str, &str); 3] = [
    (
        include_str!("fireedge/bundle-6.6.js"),
        r#"[["kvm","vcenter","firecracker","lxc","dummy","xcp"],{"lock":[],"poweroff":["RUNNING"],"poweroff_hard":["RUNNING"],"attach_disk":["POWEROFF","RUNNING"],"snapshot_disk_create":["RUNNING"]}]"#,
    ),
    (
        include_str!("fireedge/bundle-6.8.js"),
        r#"[["kvm","vcenter","firecracker","lxc","dummy","qemu","xcp"],{"terminate-hard":["POWEROFF"],"poweroff":["RUNNING"],"snapshot-disk-create":["RUNNING"]}]"#,
    ),
    (
        SIX_TEN,
        r#"[["kvm","lxc","dummy","qemu","xcp"],{"lock":[],"poweroff":["RUNNING","UNKNOWN"],"poweroff-hard":["SHUTDOWN"],"disk-attach":["RUNNING"],"vnc":["RUNNING"],"disk-snapshot-create":["RUNNING"]}]"#,
    ),
];

/// A front-end with FireEdge 6.
fn fireedge_6(bundle: &str) -> Site {
    let site = Site::new();
    fs::create_dir_all(site.one_location().join(BUNDLE).parent().unwrap()).unwrap();
    site.write(BUNDLE, bundle);
    site
}

fn refuses(site: &Site, run: impl Fn(&Site) -> Run, why: &str) {
    let before = site.tree();
    let said = run(site).refused();
    assert!(said.contains(why), "{said}");
    assert_eq!(site.tree(), before);
}

fn sunstone(site: &Site) -> Run {
    site.run(&["--sunstone"])
}

/// What the bundle prints if it is run; nothing where there is no node.
fn run_bundle(site: &Site) -> Option<String> {
    let output = Command::new("node").arg(site.one_location().join(BUNDLE)).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn each_release_gets_xcp_with_what_the_drivers_can_do() {
    for (bundle, expected) in BUNDLES {
        let site = fireedge_6(bundle);
        fs::set_permissions(site.one_location().join(BUNDLE), Permissions::from_mode(0o640)).unwrap();
        sunstone(&site).done();
        let patched = site.read(BUNDLE);
        assert_eq!(patched.matches("/*one-xcp>*/,").count(), 2, "{patched}");
        assert!(patched.contains("/*one-xcp>*/,xcp:\"xcp\"/*<one-xcp*/}"), "{patched}");
        if let Some(said) = run_bundle(&site) {
            assert_eq!(said, expected);
        }
        assert_eq!(site.read(PRISTINE), bundle);
        let mode = fs::metadata(site.one_location().join(BUNDLE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}

#[test]
fn again_it_changes_nothing_and_removed_everything_is_as_before() {
    for (bundle, _) in BUNDLES {
        let site = fireedge_6(bundle);
        let before = site.tree();
        for undo in [&["--uninstall"][..], &["--uninstall", "--sunstone"]] {
            sunstone(&site).done();
            let patched = site.tree();
            assert!(sunstone(&site).done().contains("has XCP already"));
            assert_eq!(site.tree(), patched);
            site.run(undo).done();
            assert_eq!(site.tree(), before, "{undo:?}");
        }
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = fireedge_6(SIX_TEN);
    for args in [&["--sunstone"][..], &["--uninstall", "--sunstone"]] {
        let before = site.tree();
        let said = site.run(&[args, &["--dry-run"]].concat()).done();
        assert!(said.starts_with("would "), "{said}");
        assert_eq!(site.tree(), before);
        site.run(args).done();
    }
}

#[test]
fn another_version_of_one_xcp_replaces_what_the_first_put() {
    let site = fireedge_6(SIX_TEN);
    sunstone(&site).done();
    let source = site.package().join("sunstone/XcpModule/remoteEntry.js");
    let module = fs::read_to_string(&source).unwrap();
    fs::write(&source, module.replace("'resched', ", "'backup', ")).unwrap();
    refuses(
        &site,
        |site| site.run(&["--check", "--etc", "/nonexistent"]),
        "of another version: run install.sh --sunstone",
    );
    sunstone(&site).done();
    let patched = site.read(BUNDLE);
    assert_eq!(patched.matches("/*one-xcp>*/,").count(), 2, "{patched}");
    assert_eq!(patched.matches("'backup'").count(), 1, "{patched}");
    assert_eq!(site.read(PRISTINE), SIX_TEN);
}

#[test]
fn a_bundle_that_is_not_known_is_left_alone() {
    let list = r#"Ke={kvm:"kvm",lxc:"lxc",dummy:"dummy",qemu:"qemu"}"#;
    let table = "{undefined:F,[Ke.dummy]:F,[Ke.kvm]:F,[Ke.lxc]:F,[Ke.qemu]:F}";
    assert!(SIX_TEN.contains(list) && SIX_TEN.contains(table));
    for (bundle, why) in [
        (String::new(), "hypervisors 0 times, actions 0 times"),
        (SIX_TEN.replace(list, "Ke=n(7)"), "hypervisors 0 times, actions 1 times"),
        (SIX_TEN.replace(table, "n(8)"), "hypervisors 1 times, actions 0 times"),
        (format!("{SIX_TEN}const {list};"), "hypervisors 2 times, actions 1 times"),
        (format!("{SIX_TEN}const K={table};"), "hypervisors 1 times, actions 2 times"),
        (SIX_TEN.replace("[Ke.lxc]:F", "[Ka.lxc]:F"), "of another list"),
        (SIX_TEN.replace(list, &list.replace("qemu:", "xen:\"xen\",qemu:")), "hypervisors 0 times"),
        // Patched by somebody else.
        (SIX_TEN.replace(list, &list.replace('}', ",xcp:\"xcp\"}")), "hypervisors 0 times"),
        // Cut off.
        (SIX_TEN[..SIX_TEN.find(table).unwrap() + 40].to_owned(), "hypervisors 1 times, actions 0 times"),
    ] {
        let site = fireedge_6(&bundle);
        refuses(&site, sunstone, why);
        refuses(
            &site,
            |site| site.run(&["--check", "--etc", "/nonexistent"]),
            "is not of a release known here",
        );
        site.run(&["--uninstall", "--sunstone"]).done();
        assert_eq!(site.read(BUNDLE), bundle);
    }
}

/// Only a machine with node, as every FireEdge has, can see that.
#[test]
fn a_bundle_cut_off_behind_both_places_is_left_alone() {
    if Command::new("node").arg("--version").output().is_err() {
        return;
    }
    let site = fireedge_6(SIX_TEN.strip_suffix(")();").unwrap());
    refuses(&site, sunstone, "with XCP it would not run: ");
}

#[test]
fn a_read_only_bundle_is_left_alone() {
    let site = fireedge_6(SIX_TEN);
    refuses(&site, |site| site.run_as_stranger(&["--sunstone"]), "run install.sh as root");
    sunstone(&site).done();
    refuses(&site, |site| site.run_as_stranger(&["--uninstall"]), "run install.sh as root");
}

#[test]
fn after_an_upgrade_the_new_bundle_is_kept_and_the_old_one_forgotten() {
    let site = fireedge_6(BUNDLES[1].0);
    sunstone(&site).done();
    site.write(BUNDLE, SIX_TEN);
    refuses(&site, |site| site.run(&["--check", "--etc", "/nonexistent"]), "run install.sh --sunstone");
    sunstone(&site).done();
    assert_eq!(site.read(PRISTINE), SIX_TEN);
    site.run(&["--check", "--etc", "/nonexistent"]).done();

    site.write(BUNDLE, BUNDLES[1].0);
    site.run(&["--uninstall", "--sunstone"]).done();
    assert_eq!(site.read(BUNDLE), BUNDLES[1].0);
    assert!(!site.one_location().join(PRISTINE).exists());
}

#[test]
fn without_the_original_what_was_put_is_taken_out() {
    let site = fireedge_6(BUNDLES[0].0);
    sunstone(&site).done();
    fs::remove_file(site.one_location().join(PRISTINE)).unwrap();
    site.run(&["--uninstall", "--sunstone"]).done();
    assert_eq!(site.read(BUNDLE), BUNDLES[0].0);
}
