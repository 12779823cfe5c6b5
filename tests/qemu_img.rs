//! The stand-in for `qemu-img`, in the forms that OpenNebula's scripts call, and what QEMU's own says of its images
//! where that is installed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Output};

const MB: u64 = 1 << 20;

fn ours(folder: &Path, line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_one-xcp"))
        .arg("qemu-img")
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn ok(folder: &Path, line: &str) -> String {
    let said = ours(folder, line);
    assert!(said.status.success(), "{line}: {said:?}");
    String::from_utf8(said.stdout).unwrap()
}

#[track_caller]
fn refused(folder: &Path, line: &str) -> String {
    let said = ours(folder, line);
    assert_eq!(said.status.code(), Some(1), "{line}: {said:?}");
    let why = String::from_utf8(said.stderr).unwrap();
    assert!(why.starts_with("qemu-img: ") && why.ends_with(".\n"), "{why}");
    why
}

/// QEMU's own finds nothing wrong with the image; without it only ours has been heard.
#[track_caller]
fn is_sound(image: &Path) {
    if let Ok(said) = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(image).output() {
        assert!(said.status.success(), "{said:?}");
    }
}

#[test]
fn images_are_made_as_mkimage_and_mkswap_ask_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, "create -f raw disk.1 20M");
    let made = fs::metadata(at.join("disk.1")).unwrap();
    assert_eq!((made.len(), made.blocks()), (20 * MB, 0), "without room of its own");
    ok(at, "create -f raw -o preallocation=falloc disk.2 2M");
    assert!(fs::metadata(at.join("disk.2")).unwrap().blocks() * 512 >= 2 * MB);
    ok(at, "create -f qcow2 -o cluster_size=64k disk.3 20480M");
    assert!(ok(at, "info disk.3").contains("file format: qcow2\nvirtual size: 21474836480 B"));
    is_sound(&at.join("disk.3"));
}

#[test]
fn disks_grow_and_keep_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let raw = File::create(at.join("disk.0")).unwrap();
    raw.write_all_at(b"boot", 0).unwrap();
    raw.write_all_at(b"end", 3 * MB).unwrap();
    ok(at, "convert -f raw -O qcow2 disk.0 disk.q");
    assert_eq!(ok(at, "resize disk.0 30M"), "Image resized.\n");
    assert_eq!(fs::metadata(at.join("disk.0")).unwrap().len(), 30 * MB);
    ok(at, "resize --preallocation=falloc disk.q 30M");
    is_sound(&at.join("disk.q"));
    assert!(ok(at, "info -U --output json disk.q").contains("\"virtual-size\": 31457280"));
    ok(at, "convert -O raw disk.q disk.r");
    assert_eq!(fs::read(at.join("disk.r")).unwrap(), fs::read(at.join("disk.0")).unwrap());
    // Of QEMU's own making too, past what one L2 table covers.
    if Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "of-qemu", "1M"])
        .current_dir(at)
        .status()
        .is_ok()
    {
        ok(at, "resize of-qemu 3T");
        is_sound(&at.join("of-qemu"));
        assert!(ok(at, "info --output=json of-qemu").contains(&format!("\"virtual-size\": {}", 3_u64 << 40)));
        // Its L1 table fills its cluster now.
        refused(at, "resize of-qemu 20T");
        is_sound(&at.join("of-qemu"));
    }
    refused(at, "resize disk.0 1M");
    refused(at, "resize disk.q 1M");
    assert_eq!(fs::metadata(at.join("disk.0")).unwrap().len(), 30 * MB);
}

#[test]
fn a_snapshot_is_a_new_image_on_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("disk.0.snap")).unwrap();
    ok(at, "create -f qcow2 disk.0.snap/0 20M");
    ok(at, "create -f qcow2 -o backing_fmt=qcow2 -b 0 disk.0.snap/1");
    let told = ok(at, "info --output json disk.0.snap/1");
    assert!(
        told.contains("\"backing-filename\": \"0\"") && told.contains("\"virtual-size\": 20971520"),
        "{told}"
    );
    is_sound(&at.join("disk.0.snap/1"));
    let wrong = refused(at, "create -f qcow2 -o backing_fmt=raw -b 0 disk.0.snap/2");
    assert!(wrong.contains("the backing file is qcow2, not raw"), "{wrong}");
    // What it holds is in another file, and is not guessed.
    assert!(refused(at, "convert -O raw disk.0.snap/1 flat").contains("backing file 0"));
    assert!(!at.join("flat").exists() && !at.join("disk.0.snap/2").exists());
}

#[test]
fn what_it_cannot_do_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("disk.0"), "kept").unwrap();
    for line in [
        "",
        "rebase -u -b x disk.0",
        "bitmap --remove disk.0 x",
        "resize --shrink disk.0 1",
        "resize disk.0",
        "resize disk.0 10X",
        "resize . 10M",
        "create -f vmdk disk.0 1M",
        "create -f qcow2 -o encryption=on disk.0 1M",
        "create -f raw -b base disk.0",
        "create -f raw disk.0 99999999999T",
        "convert -O vmdk disk.0 disk.1",
        "convert -O raw disk.0 disk.0",
        "convert -O raw missing disk.0",
        "info missing",
        "info --output xml disk.0",
    ] {
        refused(at, line);
        assert_eq!(fs::read_to_string(at.join("disk.0")).unwrap(), "kept", "{line}");
        assert_eq!(fs::read_dir(at).unwrap().count(), 1, "{line}");
    }
}
