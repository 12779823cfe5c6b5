//! The rows of the scripts of `datastore/xcp`.

use crate::matrix::{Failed, row, run};
use crate::site::Site;
use std::process::Command;

/// A site with a small image, whose SOURCE is given back.
fn with_image() -> (Site, String) {
    let site = Site::new();
    let source = site.small_image();
    (site, source)
}

/// The script on the image that `source` names, as image 2; `changes` are made in the message.
fn on_image(
    script: &str,
    source: &str,
    changes: &[(&str, &str)],
) -> impl Fn(&Site) -> (Command, Vec<u8>) + Sync + use<> {
    let source = format!("<SOURCE><![CDATA[{source}]]></SOURCE>");
    let changes: Vec<(String, String)> = [("<SOURCE><![CDATA[]]></SOURCE>", source.as_str())]
        .iter()
        .chain(changes)
        .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
        .collect();
    let script = script.to_owned();
    move |site| {
        let changes: Vec<(&str, &str)> =
            changes.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
        (site.ds_command(&script, "2"), site.message("clone", &changes))
    }
}

/// The image with two snapshots, and other data than at the first.
fn with_snapshots(site: &Site, source: &str) {
    site.tm_recorded("ln", source).ok();
    let disk = site.recorded("ln", source)[1].clone();
    site.tm("snap_create", &[&disk, "0", "2", "101"]).ok();
    site.host.write_vdi(source, 0, b"later");
    site.tm("snap_create", &[&disk, "1", "2", "101"]).ok();
    site.tm("delete", &[&disk, "2", "101"]).ok();
}

#[test]
fn cp() {
    let (site, _) = with_image();
    row(&site, Failed::MakesAnother, &|site| (site.ds_command("cp", "7"), site.cp_message("small.raw", 2)));
}

#[test]
fn cp_of_a_compressed_file() {
    let (site, _) = with_image();
    run(&site, &|site| (shell(site, "gzip -k small.raw"), Vec::new())).ok();
    row(&site, Failed::MakesAnother, &|site| {
        (site.ds_command("cp", "7"), site.cp_message("small.raw.gz", 2))
    });
}

fn shell(site: &Site, line: &str) -> Command {
    let mut command = site.host.command("sh");
    command.args(["-c", line]);
    command
}

#[test]
fn mkfs() {
    let site = Site::new();
    let changes = [("<FS><![CDATA[]]></FS>", "<FS>swap</FS>")];
    row(&site, Failed::MakesAnother, &|site| (site.ds_command("mkfs", "3"), site.message("mkfs", &changes)));
}

#[test]
fn clone() {
    let (site, source) = with_image();
    let path = [("vdi-uuid-17434", source.as_str())];
    row(&site, Failed::MakesAnother, &|site| (site.ds_command("clone", "5"), site.message("clone", &path)));
}

#[test]
fn clone_to_another_sr() {
    let (site, source) = with_image();
    let local = site.local_sr();
    let changes = [("vdi-uuid-17434", source.as_str()), ("Shared NFS", &local)];
    row(&site, Failed::MakesAnother, &|site| {
        (site.ds_command("clone", "5"), site.message("clone", &changes))
    });
}

#[test]
fn clone_to_another_sr_of_an_image_in_use() {
    let (site, source) = with_image();
    site.in_use(&source);
    let local = site.local_sr();
    let changes = [("vdi-uuid-17434", source.as_str()), ("Shared NFS", &local)];
    row(&site, Failed::MakesAnother, &|site| {
        (site.ds_command("clone", "5"), site.message("clone", &changes))
    });
}

#[test]
fn rm() {
    let (site, source) = with_image();
    with_snapshots(&site, &source);
    row(&site, Failed::Onwards, &on_image("rm", &source, &[]));
}

#[test]
fn export() {
    let (site, source) = with_image();
    row(&site, Failed::AsBefore, &on_image("export", &source, &[("<SIZE>10</SIZE>", "<SIZE>2</SIZE>")]));
}

#[test]
fn snap_delete() {
    let (site, source) = with_image();
    with_snapshots(&site, &source);
    let target = [("<TARGET_SNAPSHOT>-1<", "<TARGET_SNAPSHOT>1<")];
    row(&site, Failed::AsBefore, &on_image("snap_delete", &source, &target));
}

#[test]
fn snap_revert() {
    let (site, source) = with_image();
    with_snapshots(&site, &source);
    let target = [("<TARGET_SNAPSHOT>-1<", "<TARGET_SNAPSHOT>0<")];
    row(&site, Failed::AsBefore, &on_image("snap_revert", &source, &target));
}

#[test]
fn snap_flatten() {
    let (site, source) = with_image();
    with_snapshots(&site, &source);
    let target = [("<TARGET_SNAPSHOT>-1<", "<TARGET_SNAPSHOT>0<")];
    row(&site, Failed::Onwards, &on_image("snap_flatten", &source, &target));
}
