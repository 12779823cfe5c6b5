//! Places that are full and sources that end early: the error names them, and nothing has changed.

use crate::common::{Said, said, sparse_file};
use crate::site::Site;
use std::fs;
use std::process::Command;

const MB: u64 = 1 << 20;

/// An SR on which every VDI takes its whole size and tables, 8 MiB for one of 2 MB, with room for a clone of such a
/// one and little more; it is the one of both datastores.
fn small_sr(site: &Site) -> String {
    let capacity = "physical-size=40MiB";
    let host = site.host.xe(&["host-list", "name-label=xcp-a", "--minimal"]);
    let host = format!("host-uuid={host}");
    let sr = site.host.xe(&["sr-create", "name-label=Small", "type=lvm", capacity, &host]);
    for pbd in site.host.xe(&["pbd-list", &format!("sr-uuid={sr}"), "params=uuid", "--minimal"]).split(',') {
        site.host.xe(&["pbd-plug", &format!("uuid={pbd}")]);
    }
    for id in ["100", "101"] {
        let text = "<DATASTORE><TEMPLATE><XCP_SR>Small</XCP_SR></TEMPLATE></DATASTORE>";
        site.has(&format!("onedatastore.{id}"), text);
    }
    sr
}

fn refused(site: &Site, before: &str, said: Said) {
    let line = said.failure();
    assert!(line.contains("There is insufficient space") && line.contains("SR_BACKEND_FAILURE_44"), "{line}");
    site.host.is_as(before);
}

#[test]
fn an_sr_that_is_full_is_named_by_each_script_that_writes_to_it() {
    let site = Site::new();
    let sr = small_sr(&site);
    sparse_file(&site.host.path("small.raw"), 2 * MB, &[(0, b"boot")]);
    let path = site.host.path("small.raw").display().to_string();
    let cp = site.message(
        "cp",
        &[("/var/tmp/disk.raw", &path), ("<SIZE>10</SIZE>", "<SIZE>2</SIZE>"), ("Shared NFS", "Small")],
    );
    let source = site.ds("cp", "2", &cp).ok().split(' ').next().unwrap().to_owned();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    // The rest is somebody else's.
    let create = ["vdi-create", "name-label=rest", "type=user", "virtual-size=2MiB"];
    while said(site.host.command(site.host.path("bin/xe")).args(create).arg(format!("sr-uuid={sr}")), b"")
        .code
        == Some(0)
    {}
    let before = site.host.dump();
    let on_small = |recorded: &str, changes: &[(&str, &str)]| {
        site.message(recorded, &[&[("Shared NFS", "Small")], changes].concat())
    };
    refused(&site, &before, site.ds("cp", "7", &cp));
    refused(&site, &before, site.ds("mkfs", "3", &on_small("mkfs", &[])));
    refused(&site, &before, site.ds("clone", "5", &on_small("clone", &[("vdi-uuid-17434", &source)])));
    refused(&site, &before, site.tm_recorded("clone", &source));
    refused(&site, &before, site.tm_recorded("mkimage", ""));
    refused(&site, &before, site.tm_recorded("mkswap", ""));
    refused(&site, &before, site.tm("snap_create", &[&disk, "0", "2", "101"]));
    refused(&site, &before, site.tm("resize", &[&disk, "64", "2", "101"]));
    refused(
        &site,
        &before,
        site.tm("prebackup", &["xcp-a:/var/lib/one//datastores/100/2", "1", "-", "0", "2", "100"]),
    );
    let line = site.ds("cp", "7", &cp).failure();
    assert!(line.contains(&sr), "{line}");
}

#[test]
fn a_snapshot_that_does_not_fit_twice_is_not_gone_back_to() {
    let site = Site::new();
    let sr = small_sr(&site);
    let made =
        site.ds("mkfs", "3", &site.message("mkfs", &[("Shared NFS", "Small"), ("<SIZE>10<", "<SIZE>2<")]));
    let source = made.ok();
    site.tm_recorded("ln", &source).ok();
    let disk = site.recorded("ln", &source)[1].clone();
    site.tm("snap_create", &[&disk, "0", "2", "101"]).ok();
    site.host.xe(&[
        "vdi-create",
        "name-label=rest",
        "type=user",
        "virtual-size=1MiB",
        &format!("sr-uuid={sr}"),
    ]);
    let before = site.host.dump();
    refused(&site, &before, site.tm("snap_revert", &[&disk, "0", "2", "101"]));
    assert_eq!(site.disk(1), source);
}

/// The command under a shell's limit for files, as a full disk.
fn on_full_disk(command: &Command, blocks: u32) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[test]
fn a_full_staging_folder_is_named_and_left_as_it_was() {
    let site = Site::new();
    let source = site.image();
    site.host.write_vdi(&source, 0, &vec![0xa5; 4 << 20]);
    let before = site.host.dump();
    let staging = site.host.path("staging");
    let mut qcow2 = b"QFI\xfb".to_vec();
    qcow2.extend((0..4 * MB).map(|at| u8::try_from(at % 251).unwrap()));
    fs::write(site.host.path("disk.qcow2"), qcow2).unwrap();
    let gzip = Command::new("gzip").arg(site.host.path("disk.qcow2")).status().unwrap();
    assert!(gzip.success());
    let message = site.cp_message("disk.qcow2.gz", 10);
    let line = said(&mut on_full_disk(&site.ds_command("cp", "7"), 1024), &message).failure();
    assert!(line.contains(&staging.display().to_string()) && line.contains("File too large"), "{line}");
    let rm = site.message("rm", &[("vdi-uuid-11316", &source)]);
    let line = said(&mut on_full_disk(&site.ds_command("export", "2"), 1024), &rm).failure();
    assert!(line.contains(&staging.display().to_string()), "{line}");
    let mkfs = site.message("mkfs", &[("<FS><![CDATA[]]></FS>", "<FS>swap</FS>")]);
    said(&mut on_full_disk(&site.ds_command("mkfs", "3"), 1024), &mkfs).failure();
    site.host.is_as(&before);
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
}

#[test]
fn what_a_killed_script_left_in_the_staging_folder_goes_when_it_is_old() {
    let site = Site::new();
    let old = site.host.path("staging/one-xcp-aBcDeF");
    let others = site.host.path("staging/one-else");
    site.ds("mkfs", "3", &site.message("mkfs", &[])).ok();
    for file in [&old, &others] {
        fs::write(file, "half").unwrap();
        assert!(Command::new("touch").args(["-d", "1 day ago"]).arg(file).status().unwrap().success());
    }
    let young = site.host.path("staging/one-xcp-gHiJkL");
    fs::write(&young, "at work").unwrap();
    site.ds("mkfs", "3", &site.message("mkfs", &[("<FS><![CDATA[]]></FS>", "<FS>swap</FS>")])).ok();
    assert!(!old.exists() && others.exists() && young.exists());
}

#[test]
fn images_that_end_early_change_nothing() {
    let site = Site::new();
    site.image();
    let before = site.host.dump();
    let raw = site.host.path("disk.raw");
    fs::copy(&raw, site.host.path("short.raw")).unwrap();
    fs::File::options().write(true).open(site.host.path("short.raw")).unwrap().set_len(8 * MB).unwrap();
    let line = site.cp("short.raw", 10).failure();
    assert!(line.contains("short.raw has 8388608 bytes") && line.contains("10 MB"), "{line}");
    for (format, name) in [("qcow2", "short.qcow2"), ("vpc", "short.vhd")] {
        let target = site.host.path(name);
        let made = Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", format])
            .args([&raw, &target])
            .status();
        let Ok(true) = made.map(|status| status.success()) else { continue };
        let file = fs::File::options().write(true).open(&target).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        site.cp(name, 10).failure();
        site.host.is_as(&before);
    }
    site.host.is_as(&before);
}
