//! `install.sh --sunstone` with FireEdge 7: a module of ours, and its entry in `remotes-config.yaml`.

use crate::site::{Run, Site};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const CONF: &str = "etc/fireedge/sunstone/remotes-config.yaml";
const MODULE: &str = "lib/fireedge/dist/modules/XcpModule/remoteEntry.js";
const CONSTANTS: &str = "lib/fireedge/dist/modules/ConstantsModule";
const STOCK: &str = include_str!("fireedge/remotes-config.yaml");
const ENTRY: &str =
    "XcpModule:\n  name: XcpModule\n  entry: __HOST__/fireedge/modules/XcpModule/remoteEntry.js\n";

/// A front-end with FireEdge 7.
fn fireedge_7() -> Site {
    let site = Site::new();
    for dir in ["etc/fireedge/sunstone", CONSTANTS, "lib/fireedge/dist/client"] {
        fs::create_dir_all(site.one_location().join(dir)).unwrap();
    }
    site.write(CONF, STOCK);
    site.write(&format!("{CONSTANTS}/remoteEntry.js"), "var ConstantsModule;\n");
    site.write(&format!("{CONSTANTS}/2.js"), include_str!("fireedge/constants-7.js"));
    site.write("lib/fireedge/dist/client/bundle.sunstone.js", "loadClient()");
    site
}

fn exists(site: &Site, path: &str) -> bool {
    site.one_location().join(path).exists()
}

/// Refused by that command, with every file as before.
fn refuses(site: &Site, run: impl Fn(&Site) -> Run, why: &str) {
    let before = site.tree();
    let said = run(site).refused();
    assert!(said.contains(why), "{said}");
    assert_eq!(site.tree(), before);
}

fn sunstone(site: &Site) -> Run {
    site.run(&["--sunstone"])
}

#[test]
fn the_module_is_put_and_named_beside_the_others_which_stay_as_they_are() {
    let site = fireedge_7();
    fs::set_permissions(site.one_location().join(CONF), Permissions::from_mode(0o640)).unwrap();
    sunstone(&site).done();
    let shipped = fs::read_to_string(site.package().join("sunstone/XcpModule/remoteEntry.js")).unwrap();
    assert_eq!(site.read(MODULE), shipped);
    let conf = site.read(CONF);
    let ours = conf.strip_prefix(STOCK).unwrap();
    assert!(ours.contains(ENTRY), "{ours}");
    assert!(ours.lines().all(|line| line.starts_with('#') || ENTRY.contains(line)), "{ours}");
    assert_eq!(site.read(&format!("{CONF}.one-xcp-backup")), STOCK);
    let mode =
        |path: &str| fs::metadata(site.one_location().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(CONF), mode(MODULE)), (0o640, 0o644));
    assert!(!exists(&site, "var/remotes/vmm/xcp"));
}

#[test]
fn again_it_changes_nothing_and_removed_everything_is_as_before() {
    let site = fireedge_7();
    let before = site.tree();
    sunstone(&site).done();
    let installed = site.tree();
    assert!(sunstone(&site).done().contains("has XCP already"));
    assert_eq!(site.tree(), installed);
    for undo in [&["--uninstall"][..], &["--uninstall", "--sunstone"]] {
        sunstone(&site).done();
        site.run(undo).done();
        assert_eq!(site.tree(), before, "{undo:?}");
        site.run(undo).done();
        assert_eq!(site.tree(), before, "{undo:?}");
    }
}

#[test]
fn a_dry_run_says_what_the_real_one_does_and_does_nothing() {
    let site = fireedge_7();
    for args in [&["--sunstone"][..], &["--uninstall", "--sunstone"]] {
        let before = site.tree();
        let said = site.run(&[args, &["--dry-run"]].concat()).done();
        assert_eq!(site.tree(), before);
        let done = site.run(args).done();
        assert!(said.lines().count() >= 2, "{said}");
        let announced = said.lines().map(|line| line.strip_prefix("would ").unwrap());
        assert!(announced.eq(done.lines().filter(|line| !line.starts_with("Sunstone in "))), "{said}{done}");
    }
}

/// The order matters: an entry without its file blocks the whole GUI.
#[test]
fn the_file_comes_before_the_entry_and_goes_after_it() {
    let site = fireedge_7();
    let place = |said: &str, what: &str| said.find(what).unwrap_or_else(|| panic!("no {what} in {said}"));
    let said = sunstone(&site).done();
    assert!(place(&said, "install ") < place(&said, "add XcpModule to "), "{said}");
    let said = site.run(&["--uninstall", "--sunstone"]).done();
    assert!(place(&said, "remove the part of one-xcp from ") < place(&said, "remove /"), "{said}");

    // The file cannot be put: no entry either.
    fs::create_dir_all(site.one_location().join(MODULE)).unwrap();
    refuses(&site, sunstone, "is not of one-xcp: move it away first");
}

#[test]
fn drivers_entries_and_sunstone_in_one_go() {
    let site = fireedge_7();
    let before = site.tree();
    site.run(&["--configure", "--sunstone"]).done();
    assert!(exists(&site, MODULE) && site.read("etc/oned.conf").contains("SUNSTONE_NAME"));
    assert!(exists(&site, "var/remotes/vmm/xcp/deploy"));
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.tree(), before);
}

#[test]
fn removing_it_needs_not_be_told_again_where_fireedge_is() {
    let site = fireedge_7();
    let before = site.tree();
    let elsewhere = site.one_location().join("gui here");
    let usual = site.one_location().join("lib/fireedge");
    fs::rename(&usual, &elsewhere).unwrap();
    site.run(&["--sunstone", "--fireedge", elsewhere.to_str().unwrap()]).done();
    let said = site.run(&["--uninstall", "--sunstone"]).done();
    assert!(said.contains("remove ") && said.contains("gui here/dist/modules/XcpModule"), "{said}");
    let said = site.run(&["--uninstall", "--sunstone"]).done();
    assert!(said.contains("there is nothing of one-xcp in the Sunstone in "), "{said}");
    fs::rename(&elsewhere, &usual).unwrap();
    assert_eq!(site.tree(), before);
}

#[test]
fn a_machine_with_sunstone_alone_needs_no_remotes() {
    let site = fireedge_7();
    fs::remove_dir_all(site.one_location().join("var")).unwrap();
    fs::remove_file(site.etc().join("oned.conf")).unwrap();
    fs::remove_file(site.etc().join("monitord.conf")).unwrap();
    sunstone(&site).done();
    site.run(&["--check"]).done();
    site.run(&["--uninstall", "--sunstone"]).done();
    assert_eq!(site.read(CONF), STOCK);
}

#[test]
fn what_was_written_after_the_entry_stays_when_it_goes() {
    let site = fireedge_7();
    sunstone(&site).done();
    let more = "LaterModule:\n  name: LaterModule\n  entry: /later.js # last\n";
    site.write(CONF, &(site.read(CONF) + more));
    assert!(sunstone(&site).done().contains("has XCP already"));
    let said = site.run(&["--uninstall", "--sunstone"]).done();
    assert_eq!(site.read(CONF), STOCK.to_owned() + more);
    assert!(said.contains("remotes-config.yaml.one-xcp-backup: more was changed since"), "{said}");
}

#[test]
fn a_configuration_of_another_form_is_left_alone() {
    let module =
        |name: &str| format!("{name}:\n  name: {name}\n  entry: /fireedge/modules/{name}/remoteEntry.js\n");
    let constants = module("ConstantsModule");
    for (text, why) in [
        (String::new(), "it names no ConstantsModule"),
        ("null\n".to_owned(), "line 1 is not of the form we know"),
        (module("UtilsModule"), "it names no ConstantsModule"),
        (
            module("ConstantsModule") + &module("XcpModule"),
            "it has an XcpModule that install.sh did not write",
        ),
        (
            constants.clone() + "'XcpModule': { name: XcpModule, entry: /mine.js }\n",
            "an XcpModule that install.sh did not",
        ),
        (constants.clone() + &constants, "it has ConstantsModule twice"),
        (constants.clone() + "...\n", "line 4 is not of the form we know"),
        (constants.clone() + "---\n" + &module("UtilsModule"), "line 4 is not of the form we know"),
        (constants.clone() + "- a list\n", "line 4 is not of the form we know"),
        (constants.clone() + "UtilsModule:\n\tname: UtilsModule\n", "line 5 is not of the form we know"),
        (
            "{ ConstantsModule: { name: ConstantsModule, entry: /a.js } }\n".to_owned(),
            "line 1 is not of the form",
        ),
        // Cut off at some place.
        (STOCK.split_inclusive("__HOST__/fireedge/modules/Const").next().unwrap().to_owned(), "no entry"),
        (constants.clone() + "UtilsModule:\n  name: Uti", "its UtilsModule has no name or no entry"),
        (constants.clone() + "UtilsMod", "line 4 is not of the form we know"),
    ] {
        let site = fireedge_7();
        site.write(CONF, &text);
        refuses(&site, sunstone, why);
    }
}

#[test]
fn other_ways_to_write_the_same_are_understood() {
    for text in [
        STOCK.trim_end().to_owned(),
        STOCK.replace('\n', "\r\n"),
        format!("---\n{STOCK}"),
        STOCK.replace("  name", "      name").replace("  entry", "      entry"),
    ] {
        let site = fireedge_7();
        site.write(CONF, &text);
        sunstone(&site).done();
        assert!(site.read(CONF).contains(&format!("\n{ENTRY}")));
        site.run(&["--uninstall", "--sunstone"]).done();
        assert_eq!(site.read(CONF), text);
    }
}

#[test]
fn a_read_only_gui_is_left_as_it_is() {
    for dir in ["etc/fireedge/sunstone", "lib/fireedge/dist/modules"] {
        let site = fireedge_7();
        for open in ["etc/fireedge/sunstone", "lib/fireedge/dist/modules"] {
            let mode = if open == dir { 0o555 } else { 0o777 };
            fs::set_permissions(site.one_location().join(open), Permissions::from_mode(mode)).unwrap();
        }
        refuses(&site, |site| site.run_as_stranger(&["--sunstone"]), "run install.sh as root");
    }
    let site = fireedge_7();
    sunstone(&site).done();
    refuses(&site, |site| site.run_as_stranger(&["--uninstall", "--sunstone"]), "run install.sh as root");
}

#[test]
fn without_fireedge_it_says_so() {
    let site = Site::new();
    for args in [&["--sunstone"][..], &["--check"], &["--configure", "--sunstone"]] {
        refuses(&site, |site| site.run(args), "there is no FireEdge in ");
    }
    refuses(
        &site,
        |site| site.run(&["--sunstone", "--fireedge", "/nonexistent"]),
        "in /nonexistent: give --fireedge DIR",
    );
}

#[test]
fn check_tells_what_an_upgrade_took_away() {
    let site = fireedge_7();
    let says = |why: &str| refuses(&site, |site| site.run(&["--check"]), why);
    says("oned.conf has no VM_MAD with NAME xcp and a SUNSTONE_NAME: run install.sh --configure");
    says("monitord.conf has no IM_MAD with NAME xcp");
    site.run(&["--configure"]).done();
    says("its remotes-config.yaml does not name XcpModule: run install.sh --sunstone");
    sunstone(&site).done();
    let before = site.tree();
    assert!(site.run(&["--check"]).done().ends_with(" has XCP\n"));
    assert_eq!(site.tree(), before);

    site.write(MODULE, &(site.read(MODULE) + "// of another version\n"));
    says("its XcpModule is of another version: run install.sh --sunstone");
    fs::remove_file(site.one_location().join(MODULE)).unwrap();
    says("XcpModule has an entry and no file, which stops the whole GUI: run install.sh --sunstone at once");
    sunstone(&site).done();
    site.run(&["--check"]).done();
    site.write(CONF, STOCK);
    says("its remotes-config.yaml does not name XcpModule");
    sunstone(&site).done();

    site.write(&format!("{CONSTANTS}/2.js"), "const W={kvm:{id:\"kvm\"}}");
    says("its ConstantsModule is not of a release known here");
}

#[test]
fn an_entry_without_its_file_goes_all_the_same() {
    let site = fireedge_7();
    let before = site.tree();
    sunstone(&site).done();
    fs::remove_dir_all(site.one_location().join("lib/fireedge/dist/modules/XcpModule")).unwrap();
    site.run(&["--uninstall"]).done();
    assert_eq!(site.tree(), before);
}
