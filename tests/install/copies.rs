//! OpenNebula copies remotes to its hosts and follows links on the way: the copies must work, and be small.

use crate::site::{LINKS, PROGRAM_BYTES, Site, Tree, finish, read_tree};
use std::fs;
use std::path::Path;
use std::process::Command;

const LIMIT_BYTES: usize = 3_000_000;

/// Every script of the copy reaches the copied program under its own path, with its arguments unharmed.
fn scripts_work(host: &Path) {
    let mut copied = Tree::new();
    read_tree(host, host, &mut copied);
    let bytes: usize = copied.values().map(String::len).sum();
    assert!((PROGRAM_BYTES..LIMIT_BYTES).contains(&bytes), "{bytes}");
    for link in LINKS {
        let script = host.join(link);
        assert!(script.symlink_metadata().unwrap().is_file(), "{link}");
        let said = finish(Command::new(&script).args(["a", "b 'c' \"d\"", ""])).done();
        assert_eq!(said, format!("<{}><a><b 'c' \"d\"><>", script.display()));
    }
}

fn install_then_copy(copy: impl Fn(&Path, &Path)) {
    let site = Site::new();
    site.run(&[]).done();
    copy(&site.remotes(), &site.elsewhere());
    // The copies may not lean on what they were copied from.
    fs::remove_dir_all(site.remotes()).unwrap();
    scripts_work(&site.elsewhere());
}

#[test]
fn scripts_work_as_links() {
    let site = Site::new();
    site.run(&[]).done();
    for link in LINKS {
        let script = site.remotes().join(link);
        assert_eq!(finish(&mut Command::new(&script)).done(), format!("<{}>", script.display()));
    }
    let by_bare_name =
        finish(Command::new("sh").args(["deploy", "x"]).current_dir(site.remotes().join("vmm/xcp")));
    assert_eq!(by_bare_name.done(), "<deploy><x>");
}

#[test]
fn scripts_work_when_copied_as_by_scp() {
    install_then_copy(|from, to| {
        finish(Command::new("cp").arg("-RL").args([from, to])).done();
    });
}

/// The options of OpenNebula's `HostSyncManager`.
#[test]
fn scripts_work_when_copied_by_rsync() {
    if Command::new("rsync").arg("--version").output().is_err() {
        return;
    }
    install_then_copy(|from, to| {
        let mut rsync = Command::new("rsync");
        finish(rsync.args(["-LRaz", "--delete", "."]).arg(to).current_dir(from)).done();
    });
}

#[test]
fn a_script_without_its_program_says_so_in_one_line() {
    let site = Site::new();
    site.run(&[]).done();
    fs::remove_file(site.remotes().join("vmm/xcp/one-xcp")).unwrap();
    let said = finish(&mut Command::new(site.remotes().join("vmm/xcp/deploy"))).refused();
    assert!(said.starts_with("deploy: there is no vmm/xcp/one-xcp above "), "{said}");
    assert!(said.ends_with(".\n"), "{said}");
}
