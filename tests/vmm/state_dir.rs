//! Locks and notes lie in a directory of this user's own. What somebody else puts in their place, there or where earlier
//! versions had them, is neither believed nor waited for.

use crate::common::Host;
use crate::common::data_disk::{attach, make_file, running, vdis};
use rustix::fs::{FlockOperation, Mode, flock};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

const NOBODY: u32 = 65_534;

fn fifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// Where version 0.1 had the lock of VM 1.
fn earlier_lock(host: &Host) -> PathBuf {
    host.path(&format!("one-xcp-{}-vm-1.lock", rustix::process::getuid().as_raw()))
}

/// A host with a VDI that is an image of an `xcp` datastore.
fn with_image() -> (Host, String) {
    let host = Host::new();
    fs::create_dir(host.path("state")).unwrap();
    let sr = host.xe(&["pool-list", "params=default-SR", "--minimal"]);
    let args = ["vdi-create", &format!("sr-uuid={sr}"), "name-label=one-image-5", "virtual-size=4MiB"];
    let image = host.xe(&args);
    host.xe(&["vdi-param-add", &format!("uuid={image}"), "param-name=tags", "param-key=one-image-5"]);
    (host, image)
}

fn is_there(host: &Host, vdi: &str) -> bool {
    !host.xe(&["vdi-list", &format!("uuid={vdi}"), "--minimal"]).is_empty()
}

#[test]
fn a_note_that_names_anything_but_an_attempt_of_ours_removes_nothing() {
    for note in ["one-image-5", "one-attempt-1-2,one-image-5", "one-attempt-1\none-image-5"] {
        let (host, image) = with_image();
        fs::write(host.path("state/vm-1.lock"), note).unwrap();
        let said = host.deploy();
        assert!(said.log().iter().any(|line| line.contains("no attempt of ours")), "{said:?}");
        said.ok();
        assert!(is_there(&host, &image), "{note:?}");
    }
    // Somebody has given an image such a tag.
    let (host, image) = with_image();
    host.xe(&["vdi-param-add", &format!("uuid={image}"), "param-name=tags", "param-key=one-attempt-1-2"]);
    fs::write(host.path("state/vm-1.lock"), "one-attempt-1-2").unwrap();
    host.deploy().ok();
    assert!(is_there(&host, &image));
}

#[test]
fn what_is_not_a_file_of_ours_in_the_place_of_the_lock_ends_the_action_at_once() {
    for put in [
        &(|path: &Path| fifo(path)) as &dyn Fn(&Path),
        &|path| symlink("/etc/hostname", path).unwrap(),
        &|path| fs::create_dir(path).unwrap(),
        &|path| {
            fs::write(path, "one-image-5").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        },
    ] {
        let (host, image) = with_image();
        put(&host.path("state/vm-1.lock"));
        let before = host.dump();
        let line = host.deploy().failure();
        assert!(line.contains("state/vm-1.lock is not a plain file of this user's own"), "{line}");
        host.is_as(&before);
        assert!(is_there(&host, &image));
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_not_used() {
    let (host, _image) = with_image();
    fs::set_permissions(host.path("state"), fs::Permissions::from_mode(0o1777)).unwrap();
    let before = host.dump();
    let line = host.deploy().failure();
    assert!(
        line.contains("state is not a directory of this user alone") && line.contains("STATE_DIR"),
        "{line}"
    );
    host.is_as(&before);
}

#[test]
fn without_the_setting_it_is_below_tmpdir() {
    let (host, image) = with_image();
    let host = host.set("STATE_DIR", "");
    let uid = rustix::process::getuid().as_raw();
    let state = host.path(&format!("one-xcp-{uid}"));
    let line = host.deploy();
    line.ok();
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    if uid == 0 {
        // Another user was there first.
        chown(&state, Some(NOBODY), None).unwrap();
        let line = host.deploy().failure();
        assert!(line.contains("is not a directory of this user alone"), "{line}");
    }
    assert!(is_there(&host, &image));
}

#[test]
fn what_another_user_puts_where_earlier_versions_had_the_lock_is_nobodys() {
    for put in [
        &(|path: &Path| fifo(path)) as &dyn Fn(&Path),
        &|path| symlink("/etc/hostname", path).unwrap(),
        &|path| {
            fs::write(path, "one-image-5").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
            if rustix::process::getuid().is_root() {
                chown(path, Some(NOBODY), None).unwrap();
            }
        },
    ] {
        let (host, image) = with_image();
        put(&earlier_lock(&host));
        host.deploy().ok();
        assert!(is_there(&host, &image) && fs::symlink_metadata(earlier_lock(&host)).is_ok());
    }
}

#[test]
fn a_driver_of_an_earlier_version_at_work_is_waited_for_and_what_it_left_is_cleared_away() {
    let (host, uuid) = running();
    make_file(&host);
    let lock = File::create(earlier_lock(&host)).unwrap();
    lock.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let host = host.set("XE_TRANSFER_TIMEOUT", "1");
    let line = attach().run(&host, &uuid).failure();
    assert!(line.contains("another action on VM 1 has not ended within 1 s"), "{line}");
    drop(lock);
    // It was killed when it had made this.
    let sr = format!("sr-uuid={}", host.xe(&["pool-list", "params=default-SR", "--minimal"]));
    let left = host.xe(&["vdi-create", &sr, "name-label=one-1-disk-3", "virtual-size=4MiB"]);
    for tag in ["one-1-disk-3", "one-attempt-7-8", &format!("one-vm-{uuid}")] {
        host.xe(&["vdi-param-add", &format!("uuid={left}"), "param-name=tags", &format!("param-key={tag}")]);
    }
    fs::write(earlier_lock(&host), "one-attempt-7-8").unwrap();
    let host = host.set("XE_TRANSFER_TIMEOUT", "600");
    attach().run(&host, &uuid).ok();
    assert!(!is_there(&host, &left) && !earlier_lock(&host).exists());
    assert_eq!(vdis(&host).len(), 1);
}
