//! Disks that are written back to their files: whatever goes wrong, the guest's last writes are in the file or in
//! the pool, and the action done again brings them into the file.
use crate::common::steps::{self, Wrong, signal, wait_for_quiet};
use crate::common::{Host, Recorded, Said};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const POWEROFF: &str = "shutdown";

/// A VM whose guest has written something.
fn written() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"precious");
    (host, uuid)
}

fn power_off(host: &Host, uuid: &str) -> (Command, Vec<u8>) {
    let recorded = Recorded::load(POWEROFF);
    let args: Vec<&str> =
        std::iter::once(uuid).chain(recorded.argv.iter().skip(1).map(String::as_str)).collect();
    host.action("shutdown", &args, &recorded.stdin)
}

fn run(host: &Host, uuid: &str) -> Said {
    let (mut command, stdin) = power_off(host, uuid);
    crate::common::said(&mut command, &stdin)
}

fn is_in_file(host: &Host) -> bool {
    let file = fs::read(host.vm_folder(0, 1).join("disk.0"));
    file.is_ok_and(|bytes| bytes.len() == 5 << 20 && bytes[1 << 20..].starts_with(b"precious"))
}

fn is_in_pool(host: &Host, uuid: &str) -> bool {
    let vdi = host.vdi_in(uuid, "0");
    !vdi.is_empty() && host.vdi_holds(&vdi, 1 << 20, b"precious")
}

/// Done again it succeeds; the file has it all, and there are no others beside it.
fn goes_on(host: &Host, uuid: &str) {
    assert!(is_in_file(host) || is_in_pool(host, uuid), "the guest's data is gone");
    run(host, uuid).ok();
    assert!(is_in_file(host));
    let folder = fs::read_dir(host.vm_folder(0, 1)).unwrap();
    let mut names: Vec<String> =
        folder.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    let disks: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.contains("disk.")).collect();
    assert_eq!(disks, ["disk.0", "disk.1", "disk.2"]);
    assert!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]).is_empty());
}

#[test]
fn stopped_or_killed_after_any_call_it_can_go_on() {
    let (host, uuid) = written();
    let action = |host: &Host| power_off(host, &uuid);
    steps::each_call(&host, &[Wrong::Terminated, Wrong::Killed], &action, &|host, _| goes_on(host, &uuid));
}

#[test]
fn killed_in_the_middle_of_a_disk_it_can_go_on() {
    let (host, uuid) = written();
    // The first half of a disk comes, and then nothing.
    let real = host.path("bin/xe.d");
    fs::create_dir(&real).unwrap();
    symlink(crate::common::PROGRAM, real.join("xe")).unwrap();
    fs::remove_file(host.path("bin/xe")).unwrap();
    let half = "#!/bin/sh\nxe=$(dirname \"$0\")/xe.d/xe\ncase \"$*\" in\n*vdi-export*) \"$xe\" \"$@\" | head -c 3000000; exec sleep 60 ;;\nesac\nexec \"$xe\" \"$@\"\n";
    fs::write(host.path("bin/xe"), half).unwrap();
    fs::set_permissions(host.path("bin/xe"), fs::Permissions::from_mode(0o755)).unwrap();
    let (mut command, stdin) = power_off(&host, &uuid);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    crate::common::feed(&mut child, &stdin);
    let folder = host.vm_folder(0, 1);
    let half_there = || {
        fs::read_dir(&folder).unwrap().flatten().any(|entry| {
            let is_new = entry.file_name().to_string_lossy().starts_with(".disk.0.");
            is_new && entry.metadata().is_ok_and(|about| about.len() > 0)
        })
    };
    while !half_there() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it had written anything");
        thread::sleep(Duration::from_millis(5));
    }
    let sleeping = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == host.dir.path()));
    let sleeping: Vec<String> = sleeping.map(|process| process.file_name().into_string().unwrap()).collect();
    signal(&child, "-KILL");
    child.wait().unwrap();
    for process in sleeping {
        _ = Command::new("kill").args(["-KILL", &process]).stderr(Stdio::null()).status().unwrap();
    }
    wait_for_quiet(&host);
    assert!(half_there() && !is_in_file(&host) && is_in_pool(&host, &uuid));
    fs::remove_file(host.path("bin/xe")).unwrap();
    symlink(crate::common::PROGRAM, host.path("bin/xe")).unwrap();
    goes_on(&host, &uuid);
}

#[test]
fn a_file_system_without_room_is_named_before_anything_is_written() {
    let (host, uuid) = written();
    let (command, stdin) = power_off(&host, &uuid);
    // In a mount namespace of its own the VM's folder is a file system of 1 MB, which ends with the command.
    let folder = host.vm_folder(0, 1);
    let mount = "mount -t tmpfs -o size=1m none \"$FOLDER\" || exit 99; cp -a \"$KEPT\"/disk.2 \"$FOLDER\"; exec \"$0\" \"$@\"";
    let kept = host.path("kept");
    assert!(
        Command::new("cp").args(["-a", "--sparse=always"]).args([&folder, &kept]).status().unwrap().success()
    );
    let mut small = Command::new("unshare");
    small.args(["-m", "sh", "-c", mount]).arg(command.get_program()).args(command.get_args()).env_clear();
    small.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    small.env("FOLDER", &folder).env("KEPT", &kept);
    small.current_dir(host.dir.path());
    let said = crate::common::said(&mut small, &stdin);
    if said.code != Some(1) || said.stderr.contains("unshare") {
        // Not everybody may mount.
        return;
    }
    let line = said.failure();
    let place = folder.display().to_string();
    assert!(line.contains("bytes are needed in") && line.contains(&place) && line.contains("free"), "{line}");
    assert!(is_in_pool(&host, &uuid));
    goes_on(&host, &uuid);
}
