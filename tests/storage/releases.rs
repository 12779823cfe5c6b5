//! OpenNebula's own scripts that ours call, found in the folders of each release as its installer lays them out
//! (`tests/recorded/remotes`: the names of its files below `remotes/tm` and `remotes/datastore`).

use super::site::{DISK_0, IN_XCP, OS, Site};
use crate::common::{PROGRAM, Recorded, Said, said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// OpenNebula's remotes of this release with our drivers in them, by `install.sh`, and the copy that a host gets:
/// links followed, as `rsync -L` and `scp` do.
fn installed(site: &Site, release: &str) -> (PathBuf, PathBuf) {
    let (remotes, copy) = (site.host.path("front-end/remotes"), site.host.path("host/one"));
    fs::create_dir_all(&copy).unwrap();
    let list = format!("{}/tests/recorded/remotes/{release}.txt", env!("CARGO_MANIFEST_DIR"));
    for file in fs::read_to_string(list).unwrap().lines() {
        site.program(&format!("front-end/remotes/{file}"), SCRIPT);
    }
    fs::write(remotes.join("VERSION"), format!("{release}\n")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
    let mut install = Command::new("sh");
    said(install.arg(script).args(["--binary", PROGRAM, "--remotes"]).arg(&remotes), b"").ok();
    assert!(Command::new("cp").arg("-RL").arg(remotes.join(".")).arg(&copy).status().unwrap().success());
    (remotes, copy)
}

/// A command line on the front-end, as LocalCommand runs it (CommandManager.rb).
fn local(site: &Site, line: &str, stdin: &str) -> Said {
    said(
        site.host.command("bash").args(["-c", line]).env("STAGING_DIR", site.host.path("")),
        stdin.as_bytes(),
    )
}

/// An action on a host: a shell there reads its command line and its standard input from ssh (ssh_stream.rb,
/// OpenNebulaDriver.rb `do_action`).
fn over_ssh(site: &Site, line: &str, stdin: &str) -> Said {
    let text = format!("export LANG=C; export LC_ALL=C; cat << 'EOT' | {line}\n{stdin}\nEOT\n");
    said(site.host.command("bash").arg("-s"), text.as_bytes())
}

/// A VM's life in the forms that each release calls scripts with: the datastore's message is an argument up to 6.6 and
/// standard input since; the transfer manager's scripts have arguments alone; actions get the VM's document behind a
/// shell, or in base64 on the front-end; errors are marked up to 6.0.2.
#[test]
fn installed_beside_each_releases_files_a_vm_lives_by_its_callers_forms() {
    each_release(|release, site| {
        let (remotes, copy) = installed(site, release);
        let script = |root: &Path, name: &str| root.join(name).display().to_string();
        let version: Vec<u32> = release.split('.').map(|part| part.parse().unwrap()).collect();
        crate::common::sparse_file(&site.host.path("disk.raw"), 2 << 20, &[(0, b"boot")]);
        let message = String::from_utf8(site.cp_message("disk.raw", 2)).unwrap();
        let cp = script(&remotes, "datastore/xcp/cp");
        let answer = if version < vec![6, 8] {
            local(site, &format!("{cp} {message} 2"), "")
        } else {
            local(site, &format!("{cp} 2"), &message)
        };
        let answer = answer.ok();
        let (source, format) = answer.split_once(' ').unwrap();
        assert_eq!(format, "raw", "{release}");
        let before = site.host.dump();

        let disk = "<DISK><DISK_ID>0</DISK_ID></DISK>";
        site.has("onevm.1", &format!("<VM><ID>1</ID><TEMPLATE>{disk}{OS}</TEMPLATE></VM>"));
        let folder = site.host.vm_folder(0, 1).display().to_string();
        fs::remove_file(site.host.vm_folder(0, 1).join("disk.0")).unwrap();
        let tm =
            |name: &str, words: &str| local(site, &format!("{} {words}", script(&remotes, name)), "").ok();
        tm("tm/xcp/clone", &format!("frontend:{source} xcp-a:{folder}/disk.0 1 101"));
        tm("tm/xcp/context", &format!("/var/lib/one/vms/1/context.sh xcp-a:{folder}/disk.2 1 101"));
        assert!(called(site).contains("/tm/ssh/context "), "{release}");

        let document = String::from_utf8(Recorded::load("deploy").with(DISK_0, IN_XCP).stdin).unwrap();
        let vmm = |name: &str, words: &str, stdin: &str| {
            over_ssh(site, &format!("{} {words}", script(&copy, &format!("vmm/xcp/{name}"))), stdin)
        };
        let vm = vmm("deploy", &format!("'{folder}/deployment.0' 'xcp-a' 1 xcp-a"), &document).ok();
        assert_eq!(site.host.vm_param(&vm, "power-state"), "running", "{release}: {vm}");
        if version < vec![5, 12] {
            assert!(vmm("poll", &format!("'{vm}' 'xcp-a'"), "").ok().starts_with("STATE=a "), "{release}");
        }
        let reboot = Recorded::load("reboot").stdin;
        let reboot_line = format!("{} '{vm}' 'xcp-a' 1 xcp-a", script(&remotes, "vmm/xcp/reboot"));
        local(site, &reboot_line, &STANDARD.encode(reboot)).ok();

        let wrong = vmm("reboot", "'junk' 'xcp-a' 1 xcp-a", "");
        assert_eq!(wrong.code, Some(1), "{release}: {wrong:?}");
        let is_marked = wrong.stderr.contains("ERROR MESSAGE --8<------");
        assert_eq!(is_marked, version < vec![6, 0, 3], "{release}: {wrong:?}");

        let message = String::from_utf8(Recorded::load("shutdown.3").with(DISK_0, IN_XCP).stdin).unwrap();
        vmm("shutdown", &format!("'{vm}' 'xcp-a' 1 xcp-a"), &message).ok();
        tm("tm/xcp/delete", &format!("xcp-a:{folder}/disk.0 1 101"));
        tm("tm/xcp/delete", &format!("xcp-a:{folder} 1 0"));
        site.host.is_as(&before);
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
