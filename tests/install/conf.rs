//! The entries in `oned.conf` and `monitord.conf`.

use crate::site::{Site, write_program};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const BACKUP: &str = "etc/oned.conf.one-xcp-backup";

#[test]
fn both_entries_are_added_once_with_the_same_name_and_the_originals_kept() {
    let site = Site::new();
    let (oned, monitord) = (site.read("etc/oned.conf"), site.read("etc/monitord.conf"));
    fs::set_permissions(site.etc().join("oned.conf"), Permissions::from_mode(0o640)).unwrap();
    for _ in 0..2 {
        site.run(&["--configure"]).done();
        for (file, mad, program) in [
            ("etc/oned.conf", "VM_MAD = [", "\"one_vmm_exec\""),
            ("etc/monitord.conf", "IM_MAD = [", "\"one_im_ssh\""),
        ] {
            let conf = site.read(file);
            let (_, ours) = conf.split_once("# >>> one-xcp").unwrap();
            assert_eq!(ours.matches(mad).count(), 1, "{conf}");
            let entries = if mad.starts_with("VM") { 4 } else { 1 };
            assert_eq!(conf.matches("\"xcp\"").count(), entries, "{conf}");
            assert_eq!(conf.matches("\"XCP\"").count(), 1, "{conf}");
            assert!(ours.contains(program), "{conf}");
        }
        assert_eq!(
            (site.read(BACKUP), site.read("etc/monitord.conf.one-xcp-backup")),
            (oned.clone(), monitord.clone())
        );
        let mode = fs::metadata(site.etc().join("oned.conf")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}

/// Sunstone's dialog for new hosts shows SUNSTONE_NAME, and sends the virtualization driver's NAME as that of
/// monitoring, too.
#[test]
fn both_entries_have_the_name_and_the_sunstone_name_that_the_host_dialog_goes_by() {
    let site = Site::new();
    for args in [&["--configure"][..], &["--configure", "--frontend"]] {
        site.run(args).done();
        let names = |file: &str| -> Vec<String> {
            let conf = site.read(file);
            let (_, ours) = conf.split_once("# >>> one-xcp").unwrap();
            let (driver, _) = ours.split_once("\n]").unwrap();
            let values = driver.lines().filter_map(|line| line.split_once('='));
            let named = values.filter(|(key, _)| ["NAME", "SUNSTONE_NAME"].contains(&key.trim()));
            named.map(|(key, value)| format!("{}={}", key.trim(), value.trim())).collect()
        };
        assert_eq!(names("etc/oned.conf"), [r#"NAME="xcp","#, r#"SUNSTONE_NAME="XCP","#]);
        assert_eq!(names("etc/monitord.conf"), names("etc/oned.conf"));
    }
}

#[test]
fn an_entry_of_the_administrator_that_sunstone_would_not_offer_is_named() {
    let site = Site::new();
    site.write("etc/oned.conf", "VM_MAD = [ NAME = \"xcp\", EXECUTABLE = \"mine\" ]\n");
    let without = "Without a SUNSTONE_NAME in it Sunstone does not offer XCP for new hosts";
    assert!(site.run(&["--configure"]).done().contains(without));
    site.write("etc/oned.conf", "VM_MAD = [ NAME = \"xcp\",\n  Sunstone_Name = \"XCP\" ] # SUNSTONE_NAME\n");
    assert!(!site.run(&["--configure"]).done().contains(without));
}

#[test]
fn without_configure_the_entries_are_printed_and_nothing_is_written() {
    let site = Site::new();
    let before = site.read("etc/oned.conf");
    let said = site.run(&[]).done();
    assert!(said.contains("\nVM_MAD = [\n") && said.contains("\nIM_MAD = [\n"), "{said}");
    assert_eq!(site.read("etc/oned.conf"), before);
    for option in ["--frontend", "--local"] {
        let said = site.run(&[option]).done();
        assert!(said.contains("\"one_vmm_sh\"") && said.contains("\"one_im_sh\""), "{said}");
        assert!(!said.contains("one_vmm_exec") && !said.contains("one_im_ssh"), "{said}");
    }
}

#[test]
fn a_program_without_tls_is_told_of_where_it_lacks_it() {
    let site = Site::new();
    let lacks = "was built without TLS";
    assert!(site.run(&["--frontend", "--dry-run"]).done().contains(lacks));
    assert!(!site.run(&["--dry-run"]).done().contains(lacks));
    let program = fs::read_to_string(site.package().join("one-xcp")).unwrap();
    let with_tls = program.replacen("link) shift", "features) echo simulator tls ;;\nlink) shift", 1);
    write_program(&site.package().join("one-xcp"), &with_tls);
    assert!(!site.run(&["--frontend", "--dry-run"]).done().contains(lacks));
}

#[test]
fn changing_to_front_end_drivers_changes_the_entry_where_it_stands() {
    let site = Site::new();
    let original = site.read("etc/oned.conf");
    site.run(&["--configure"]).done();
    site.write("etc/oned.conf", &(site.read("etc/oned.conf") + "LOG = [ SYSTEM = \"file\" ]\n"));
    let before = site.read("etc/oned.conf");
    site.run(&["--configure", "--frontend"]).done();
    assert_eq!(site.read("etc/oned.conf"), before.replace("one_vmm_exec", "one_vmm_sh"));
    assert_eq!(site.read(BACKUP), original);

    let said = site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.read("etc/oned.conf"), original + "LOG = [ SYSTEM = \"file\" ]\n");
    assert!(said.contains("oned.conf.one-xcp-backup: more was changed since"), "{said}");
}

#[test]
fn an_entry_of_the_administrator_is_left_alone() {
    for entry in [
        "VM_MAD=[NAME=\"xcp\",EXECUTABLE=\"mine\"]\n",
        "VM_MAD = [\n  EXECUTABLE = \"mine\", # of the \"rack\"\n  ARGUMENTS = \"[x] -p\",\n  NAME = \"xcp\" ]\n",
    ] {
        let site = Site::new();
        site.write("etc/oned.conf", entry);
        let said = site.run(&["--configure"]).done();
        assert!(said.contains("oned.conf: its VM_MAD of the name xcp is not from install.sh"), "{said}");
        let conf = site.read("etc/oned.conf");
        assert!(conf.starts_with(entry) && conf.matches("VM_MAD").count() == 1, "{conf}");
        // What datastores on an SR need is not in it.
        assert!(conf.contains("\nTM_MAD_CONF = [") && conf.contains("\nDS_MAD_CONF = ["), "{conf}");
        assert!(conf.contains("\nVN_MAD_CONF = ["), "{conf}");
        assert!(site.read("etc/monitord.conf").contains("\"xcp\""));
        site.run(&["--uninstall", "--configure"]).done();
        assert_eq!(site.read("etc/oned.conf"), entry);
    }
}

#[test]
fn what_only_looks_like_an_entry_is_none() {
    for other in [
        "#VM_MAD = [ NAME = \"xcp\" ]\n",
        "VM_MAD = [ NAME = \"kvm\", SUNSTONE_NAME = \"xcp\" ]\n",
        "TM_MAD_CONF = [ NAME = \"xcp\" ]\nVM_MAD = [ NAME = \"kvm\" ]\nDS_MAD_CONF = [ NAME = \"xcp\" ]\n",
        "VM_MAD = [ NAME = \"kvm\" ]\nX = \"VM_MAD = [ NAME = \\\"xcp\\\" ]\"\n",
        "VM_MAD = [ NAME = \"kvm\" ]",
        "",
    ] {
        let site = Site::new();
        site.write("etc/oned.conf", other);
        site.run(&["--configure"]).done();
        assert!(site.read("etc/oned.conf").contains("NAME                 = \"xcp\""), "{other}");
        site.run(&["--uninstall", "--configure"]).done();
        assert_eq!(site.read("etc/oned.conf"), other);
    }
}

#[test]
fn a_configuration_file_that_is_a_link_stays_one() {
    let site = Site::new();
    fs::rename(site.etc().join("oned.conf"), site.one_location().join("in git.conf")).unwrap();
    site.link("../in git.conf", "etc/oned.conf");
    site.run(&["--configure"]).done();
    assert!(site.etc().join("oned.conf").is_symlink());
    assert!(site.read("in git.conf").contains("\"xcp\""));
}

#[test]
fn a_part_without_an_end_is_left_for_the_administrator_to_mend() {
    let site = Site::new();
    site.run(&["--configure"]).done();
    let torn = site.read("etc/oned.conf").replace("# <<< one-xcp <<<\n", "");
    site.write("etc/oned.conf", &torn);
    for args in [&["--configure"][..], &["--uninstall", "--configure"]] {
        assert!(site.run(args).refused().contains("and no end of it: mend it by hand"));
    }
    assert_eq!(site.read("etc/oned.conf"), torn);
}

#[test]
fn uninstalling_without_configure_leaves_the_entries_and_says_so() {
    let site = Site::new();
    site.run(&["--configure"]).done();
    let before = site.read("etc/oned.conf");
    let said = site.run(&["--uninstall"]).done();
    assert!(said.contains("still names the driver: install.sh --uninstall --configure"), "{said}");
    assert_eq!(site.read("etc/oned.conf"), before);
}

#[test]
fn datastores_on_an_sr_get_their_place_in_the_lists_and_leave_it_again() {
    const LISTS: &str = "TM_MAD = [\n    EXECUTABLE = \"one_tm\",\n    ARGUMENTS = \"-t 15 -d dummy,fs_lvm,ssh\"\n]\n\n\
        DATASTORE_MAD = [ EXECUTABLE = \"one_datastore\", ARGUMENTS = \"-t 15 -d dummy,fs -s shared,ssh\" ]\n\
        HM_MAD = [ ARGUMENTS = \"-d none\" ]\n";
    const RC: &str = "A=\"x\"\nLIVE_DISK_SNAPSHOTS=\"kvm-qcow2 kvm-ssh\"\n";
    let site = Site::new();
    let original = site.read("etc/oned.conf") + LISTS;
    site.write("etc/oned.conf", &original);
    fs::create_dir(site.etc().join("vmm_exec")).unwrap();
    site.write("etc/vmm_exec/vmm_execrc", RC);
    for time in 0..2 {
        let said = site.run(&["--configure"]).done();
        assert_eq!(time == 0, said.contains("and xcp in the lists of TM_MAD and DATASTORE_MAD"), "{said}");
        assert_eq!(site.read("etc/vmm_exec/vmm_execrc.one-xcp-backup"), RC);
        let conf = site.read("etc/oned.conf");
        for line in
            ["-t 15 -d dummy,fs_lvm,ssh,xcp\"", "-t 15 -d dummy,fs,xcp -s shared,ssh,xcp\"", "-d none\""]
        {
            assert!(conf.contains(line), "{line} is not in {conf}");
        }
        assert!(conf.contains("TM_MAD_CONF = [") && conf.contains("DS_MAD_CONF = ["), "{conf}");
        let rc = site.read("etc/vmm_exec/vmm_execrc");
        assert_eq!(rc, RC.replace("kvm-ssh\"", "kvm-ssh xcp-xcp\""));
    }
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.read("etc/oned.conf"), original);
    assert_eq!(site.read("etc/vmm_exec/vmm_execrc"), RC);
    for file in ["oned.conf", "vmm_exec/vmm_execrc"] {
        assert!(!site.etc().join(format!("{file}.one-xcp-backup")).exists(), "{file}");
    }
}

#[test]
fn what_the_administrator_put_behind_ours_stays_in_the_lists() {
    let site = Site::new();
    let list = "TM_MAD = [ ARGUMENTS = \"-t 15 -d dummy,ssh\" ]\n";
    let original = site.read("etc/oned.conf") + list;
    site.write("etc/oned.conf", &original);
    fs::create_dir(site.etc().join("vmm_exec")).unwrap();
    site.write("etc/kept_rc", "LIVE_DISK_SNAPSHOTS=\"kvm-ssh\"\n");
    site.link("../kept_rc", "etc/vmm_exec/vmm_execrc");
    site.run(&["--configure"]).done();
    site.write("etc/oned.conf", &site.read("etc/oned.conf").replace("ssh,xcp\"", "ssh,xcp,theirs\""));
    let rc = site.read("etc/kept_rc");
    assert_eq!(rc, "LIVE_DISK_SNAPSHOTS=\"kvm-ssh xcp-xcp\"\n", "what the link leads to is changed");
    site.write("etc/kept_rc", &rc.replace("xcp-xcp\"", "xcp-xcp kvm-theirs\""));
    site.run(&["--configure"]).done();
    site.run(&["--uninstall", "--configure"]).done();
    assert_eq!(site.read("etc/oned.conf"), original.replace("ssh\" ]", "ssh,theirs\" ]"));
    assert_eq!(site.read("etc/kept_rc"), "LIVE_DISK_SNAPSHOTS=\"kvm-ssh kvm-theirs\"\n");
    assert!(site.etc().join("vmm_exec/vmm_execrc").is_symlink());
}
