//! `save` and `restore`, through their links, with what a real oned sent; `reboot` and `reset`.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, Said, said};
use base64::Engine;
use std::fs;
use std::process::Command;

fn save(name: &str) -> RecordedAction {
    RecordedAction::load("save", name)
}

fn restore_command(host: &Host, name: &str, uuid: &str) -> (Command, Vec<u8>) {
    let recorded = Recorded::load(name);
    let (checkpoint, on) = (&recorded.argv[0], &recorded.argv[1]);
    host.action("restore", &[checkpoint, on, uuid, "1", on], &recorded.stdin)
}

fn restore(host: &Host, name: &str, uuid: &str) -> Said {
    let (mut command, stdin) = restore_command(host, name, uuid);
    said(&mut command, &stdin)
}

fn running() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    (host, uuid)
}

fn state(host: &Host, uuid: &str) -> String {
    host.vm_param(uuid, "power-state")
}

fn suspend_images(host: &Host) -> String {
    host.xe(&["vdi-list", "name-label=Suspend image", "--minimal"])
}

#[test]
fn suspended_and_resumed_a_vm_is_where_it_was_with_what_it_wrote() {
    let (host, uuid) = running();
    let vdi = host.vdi_in(&uuid, "0");
    host.write_vdi(&vdi, 4096, b"written before");
    save("save.3").run(&host, &uuid).ok();
    assert_eq!(state(&host, &uuid), "suspended");
    let sr =
        host.xe(&["vdi-list", &format!("uuid={}", suspend_images(&host)), "params=sr-uuid", "--minimal"]);
    assert_eq!(sr, host.xe(&["pool-list", "params=suspend-image-SR", "--minimal"]));
    let marker = fs::read_to_string(host.vm_folder(0, 1).join("checkpoint")).unwrap();
    assert!(marker.contains(&uuid) && marker.len() < 300, "{marker}");
    restore(&host, "restore.3", &uuid).ok();
    assert_eq!((state(&host, &uuid), host.host_of(&uuid)), ("running".into(), "xcp-a".into()));
    assert_eq!(host.vdi_in(&uuid, "0"), vdi);
    assert!(host.vdi_holds(&vdi, 4096, b"written before"));
    assert_eq!(suspend_images(&host), "");
    host.on_vm("shutdown", "shutdown", &uuid).ok();
    assert!(fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap()[4096..].starts_with(b"written before"));
}

#[test]
fn after_a_cold_migration_it_goes_on_on_another_host() {
    let (host, uuid) = running();
    save("save.2").run(&host, &uuid).ok();
    // OpenNebula moves the files, disks and marker, by way of copies.
    let recorded = Recorded::load("restore.2");
    let on_b = ["/var/lib/one//datastores/0/1/checkpoint", "xcp-b", &uuid, "1", "xcp-b"];
    host.run("restore", &on_b, &recorded.stdin).ok();
    assert_eq!((state(&host, &uuid), host.host_of(&uuid)), ("running".into(), "xcp-b".into()));
}

#[test]
fn a_cold_migration_to_a_host_that_does_not_see_the_disks_is_refused_while_the_vm_runs() {
    let host = Host::new();
    let local = host.xe(&["sr-list", "name-label=Local storage", "host=xcp-a", "--minimal"]);
    let host = host.set("DEFAULT_SR", &local);
    let uuid = host.deploy().ok();
    let before = host.dump();
    let to = |name: &str| save("save.2").with("<HOSTNAME>xcp-a<", &format!("<HOSTNAME>{name}<"));
    let wrong = to("xcp-b").run(&host, &uuid).failure();
    assert!(wrong.contains(&format!("VM {uuid} stays where it is")), "{wrong}");
    assert!(wrong.contains("on xcp-b (storage") && wrong.contains("a live migration takes"), "{wrong}");
    assert_eq!(host.dump(), before);
    assert!(!host.vm_folder(0, 1).join("checkpoint").exists());
    let stranger = to("xcp-z").run(&host, &uuid).failure();
    assert!(stranger.contains("xcp-z"), "{stranger}");
    assert_eq!(host.dump(), before);
    // Suspended where it is, it does not matter.
    save("save.3").run(&host, &uuid).ok();
    assert_eq!(state(&host, &uuid), "suspended");
}

#[test]
fn from_the_front_end_it_is_the_same() {
    let (host, uuid) = running();
    save("save").run_from_front_end(&host, &uuid).ok();
    assert_eq!(state(&host, &uuid), "suspended");
    let (mut command, stdin) = restore_command(&host, "restore", &uuid);
    let password_file = host.path("front-end-password");
    command.env("XE_SERVER", "HOST").env("XE_PASSWORD_FILE", password_file);
    said(&mut command, base64::engine::general_purpose::STANDARD.encode(stdin).as_bytes()).ok();
    assert_eq!(state(&host, &uuid), "running");
}

#[test]
fn both_can_be_repeated() {
    let (host, uuid) = running();
    save("save.3").run(&host, &uuid).ok();
    let before = host.dump();
    save("save.3").run(&host, &uuid).ok();
    host.is_as(&before);
    restore(&host, "restore.3", &uuid).ok();
    let before = host.dump();
    let again = restore(&host, "restore.3", &uuid);
    assert!(again.stderr.contains("runs on xcp-a already"), "{again:#?}");
    again.ok();
    host.is_as(&before);
}

#[test]
fn a_marker_that_is_empty_damaged_or_of_another_vm_is_refused_with_the_reason() {
    let (host, uuid) = running();
    save("save.3").run(&host, &uuid).ok();
    let file = host.vm_folder(0, 1).join("checkpoint");
    let marker = fs::read_to_string(&file).unwrap();
    let other = "99999999-2222-3333-4444-000000000009";
    let before = host.dump();
    let memory = suspend_images(&host);
    for (text, reason) in [
        (String::new(), "it is empty"),
        ("LibvirtQemudSave".repeat(1000), "none of this driver's"),
        (marker.replace("checkpoint 1", "checkpoint 7"), "version 7"),
        (marker[..marker.len() - 30].to_owned(), "cannot be used"),
        (marker.replace(&memory, other), "damaged"),
    ] {
        fs::write(&file, text).unwrap();
        let line = restore(&host, "restore.3", &uuid).failure();
        assert!(line.contains(reason), "{line}");
    }
    fs::write(&file, &marker).unwrap();
    let line = restore(&host, "restore.3", other).failure();
    assert!(line.contains(&format!("is of VM {uuid}, not of {other}")), "{line}");
    host.is_as(&before);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let line = restore(&host, "restore.3", &uuid).failure();
    assert!(line.contains("is halted: its memory"), "{line}");
}

/// Monitoring tells OpenNebula SUSPENDED, and all that it can do then is `restore`.
#[test]
fn a_vm_that_somebody_else_paused_or_suspended_goes_on() {
    for (verb, how) in [("vm-pause", "paused by somebody"), ("vm-suspend", "suspended by somebody else")] {
        let (host, uuid) = running();
        // First without a checkpoint, then with the one that an earlier `save` left.
        for has_checkpoint in [false, true] {
            if has_checkpoint {
                save("save.3").run(&host, &uuid).ok();
                restore(&host, "restore.3", &uuid).ok();
            }
            host.xe(&[verb, &format!("uuid={uuid}")]);
            let said = restore(&host, "restore.3", &uuid);
            assert!(said.stderr.contains(how), "{said:?}");
            said.ok();
            assert_eq!(host.vm_param(&uuid, "power-state"), "running");
            assert!(suspend_images(&host).is_empty(), "{verb}");
        }
    }
}

#[test]
fn a_vm_that_is_paused_on_another_host_is_not_started_twice() {
    let (host, uuid) = running();
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    let recorded = Recorded::load("restore.3");
    let line = host
        .run("restore", &["/none/0/1/checkpoint", "xcp-b", &uuid, "1", "xcp-b"], &recorded.stdin)
        .failure();
    assert!(line.contains("it is not started twice"), "{line}");
    let line = host.run("restore", &["/none/0/1/checkpoint", "xcp-a"], b"").failure();
    assert!(line.contains("and no DEPLOY_ID"), "{line}");
}

#[test]
fn a_paused_vm_is_reset() {
    let (host, uuid) = running();
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    host.on_vm("reset", "reset", &uuid).ok();
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    let line = host.on_vm("reboot", "reboot", &uuid).failure();
    assert!(line.contains("nothing to restart"), "{line}");
}

#[test]
fn a_guest_that_cannot_be_suspended_runs_on_and_the_reason_is_said() {
    let (host, uuid) = running();
    let before = host.dump();
    for (code, words) in [
        ("VM_NON_SUSPENDABLE", "the guest says that it cannot be suspended"),
        ("VM_MISSING_PV_DRIVERS", "no running guest tools"),
        ("VM_NO_SUSPEND_SR", "suspend-image-SR"),
    ] {
        host.sim(&["fail", "vm-suspend", "--code", code]);
        let line = save("save.3").run(&host, &uuid).failure();
        assert!(line.contains(words) && line.contains(code), "{line}");
        host.sim(&["clear"]);
    }
    host.is_as(&before);
    assert!(!host.vm_folder(0, 1).join("checkpoint").exists());
}

#[test]
fn where_the_marker_cannot_be_written_nothing_is_suspended() {
    let (host, uuid) = running();
    let before = host.dump();
    fs::remove_dir_all(host.path("datastores/0")).unwrap();
    fs::write(host.path("datastores/0"), "no folder").unwrap();
    let line = save("save.3").run(&host, &uuid).failure();
    assert!(line.contains("cannot make the folder"), "{line}");
    host.is_as(&before);
}

const WAYS: [Wrong; 4] = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];

#[test]
fn whatever_call_of_save_fails_the_vm_runs_on_or_is_suspended_with_its_marker() {
    let (host, uuid) = running();
    steps::each_call(&host, &WAYS, &|host| save("save.3").command(host, &uuid), &|host, step| {
        let expected = if step.said.code == Some(0) { "suspended" } else { "running" };
        if step.wrong != Wrong::Killed {
            assert_eq!(state(host, &uuid), expected, "{step:#?}");
        }
        save("save.3").run(host, &uuid).ok();
        assert_eq!(suspend_images(host).split(',').count(), 1, "{step:#?}");
        restore(host, "restore.3", &uuid).ok();
    });
}

#[test]
fn whatever_call_of_restore_fails_the_vm_runs_or_can_be_restored_again() {
    let (host, uuid) = running();
    save("save.3").run(&host, &uuid).ok();
    steps::each_call(&host, &WAYS, &|host| restore_command(host, "restore.3", &uuid), &|host, step| {
        restore(host, "restore.3", &uuid).ok();
        assert_eq!(state(host, &uuid), "running", "{step:#?}");
        assert_eq!(suspend_images(host), "", "{step:#?}");
    });
}

fn save_persistent() -> RecordedAction {
    save("save.3").with("<SAVE><![CDATA[NO]]></SAVE>", "<SAVE><![CDATA[YES]]></SAVE>")
}

/// OpenNebula may end a suspended VM without another word to us, and then takes `disk.0` for the image.
#[test]
fn a_suspended_vms_persistent_disk_is_in_its_file_too() {
    let (host, uuid) = running();
    let file = host.vm_folder(0, 1).join("disk.0");
    let write = |text: &[u8]| host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, text);
    let in_file = |text: &[u8]| fs::read(&file).unwrap()[1 << 20..].starts_with(text);
    write(b"for ever");
    let vdis = host.xe(&["vdi-list", "is-a-snapshot=true", "--minimal"]);
    save("save.3").run(&host, &uuid).ok();
    assert!(!in_file(b"for ever"), "a disk that goes with the VM is not copied");
    restore(&host, "restore.3", &uuid).ok();
    save_persistent().run(&host, &uuid).ok();
    assert!(in_file(b"for ever"));
    assert_eq!(host.xe(&["vdi-list", "is-a-snapshot=true", "--minimal"]), vdis);
    restore(&host, "restore.3", &uuid).ok();
    write(b"and later");
    save_persistent().run_from_front_end(&host, &uuid).ok();
    assert!(in_file(b"and later"));
}

fn snapshots(host: &Host) -> String {
    host.xe(&["vdi-list", "is-a-snapshot=true", "--minimal"])
}

fn is_marked(host: &Host, vdi: &str) -> bool {
    let args = ["vdi-param-get", &format!("uuid={vdi}"), "param-name=other-config"];
    host.xe(&args).contains("one_write_back_attempt")
}

/// The simulator's clock is not the driver's: lets the attempt that was killed have begun by the simulator's.
fn by_the_pools_clock(host: &Host) {
    const BEGUN: &str = "1767225620";
    let Ok(notes) = fs::read_to_string(host.path("state/vm-1.lock")) else { return };
    let Some(seconds) = notes.lines().find_map(|note| note.strip_prefix("1-")?.split('-').next()) else {
        return;
    };
    for file in ["pool", "state/vm-1.lock"] {
        let text = fs::read_to_string(host.path(file)).unwrap();
        fs::write(host.path(file), text.replace(&format!("1-{seconds}-"), &format!("1-{BEGUN}-"))).unwrap();
    }
}

#[test]
fn the_next_action_clears_what_a_killed_write_back_has_left() {
    let (host, uuid) = running();
    let disk = host.vdi_in(&uuid, "0");
    let (before, ways) = (snapshots(&host), [Wrong::Killed, Wrong::AnswerLost]);
    steps::each_call(&host, &ways, &|host| save_persistent().command(host, &uuid), &|host, step| {
        by_the_pools_clock(host);
        save_persistent().run(host, &uuid).ok();
        assert_eq!(snapshots(host), before, "{step:#?}");
        assert!(!is_marked(host, &disk), "{step:#?}");
        assert!(!host.path("state/vm-1.lock").exists(), "{step:#?}");
    });
}

#[test]
fn gc_removes_the_snapshot_of_a_killed_write_back_once_the_vm_is_gone() {
    let (host, uuid) = running();
    fs::write(host.path("vms"), "9").unwrap();
    let gc = |host: &Host| host.one_xcp(&["gc", "--yes", "--vms-of", host.path("vms").to_str().unwrap()]);
    steps::each_call(
        &host,
        &[Wrong::Killed],
        &|host| save_persistent().command(host, &uuid),
        &|host, step| {
            by_the_pools_clock(host);
            host.xe(&["vm-uninstall", &format!("uuid={uuid}"), "force=true"]);
            gc(host).ok();
            assert_eq!(snapshots(host), "", "{step:#?}");
        },
    );
}

#[test]
fn a_snapshot_that_somebody_takes_after_a_write_back_was_killed_stays() {
    let (host, uuid) = running();
    fs::write(host.path("vms"), "9").unwrap();
    let disk = format!("uuid={}", host.vdi_in(&uuid, "0"));
    host.xe(&["vdi-param-set", &disk, "other-config:one_write_back_attempt=1-1000-5-6"]);
    let theirs = host.xe(&["vdi-snapshot", &disk]);
    fs::create_dir_all(host.path("state")).unwrap();
    fs::write(host.path("state/vm-1.lock"), "1-1000-5-6").unwrap();
    let said = host.on_vm("reboot", "reboot", &uuid);
    assert!(said.stderr.contains("somebody's backup"), "{said:?}");
    said.ok();
    assert!(!is_marked(&host, &host.vdi_in(&uuid, "0")));
    host.xe(&["vm-uninstall", &format!("uuid={uuid}"), "force=true"]);
    let shown = host.one_xcp(&["gc", "--yes", "--vms-of", host.path("vms").to_str().unwrap()]).ok();
    assert!(shown.contains(&format!("kept     VDI {theirs}")), "{shown}");
    assert_eq!(snapshots(&host), theirs);
}

#[test]
fn whatever_call_fails_while_a_persistent_disk_is_written_back_nothing_is_lost_or_left() {
    let (host, uuid) = running();
    host.write_vdi(&host.vdi_in(&uuid, "0"), 1 << 20, b"precious");
    let ways = [Wrong::Refused, Wrong::Terminated];
    steps::each_call(&host, &ways, &|host| save_persistent().command(host, &uuid), &|host, step| {
        let expected = if step.said.code == Some(0) { "suspended" } else { "running" };
        assert_eq!(state(host, &uuid), expected, "{step:#?}");
        assert!(host.vdi_holds(&host.vdi_in(&uuid, "0"), 1 << 20, b"precious"), "{step:#?}");
        save_persistent().run(host, &uuid).ok();
        let file = fs::read(host.vm_folder(0, 1).join("disk.0")).unwrap();
        assert!(file[1 << 20..].starts_with(b"precious"), "{step:#?}");
    });
}

#[test]
fn shut_down_or_given_up_a_suspended_vm_leaves_nothing() {
    let host = Host::new();
    let before = host.xe(&["vdi-list", "params=uuid"]);
    for (action, recorded) in [("shutdown", "shutdown.3"), ("cancel", "cancel.2"), ("cancel", "cancel")] {
        let uuid = host.deploy().ok();
        save("save.3").run(&host, &uuid).ok();
        host.on_vm(action, recorded, &uuid).ok();
        assert_eq!(host.xe(&["vdi-list", "params=uuid"]), before, "{action}");
        assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), "");
    }
}

#[test]
fn deployed_again_a_suspended_vm_goes_on_with_its_memory() {
    let (host, uuid) = running();
    save("save.3").run(&host, &uuid).ok();
    assert_eq!(host.deploy().ok(), uuid);
    assert_eq!(state(&host, &uuid), "running");
    assert_eq!(suspend_images(&host), "");
}

#[test]
fn reboot_asks_the_guest_and_reset_does_not() {
    let (host, uuid) = running();
    for action in ["reboot", "reset"] {
        let recorded = RecordedAction::load(action, action);
        let domain = host.vm_param(&uuid, "dom-id");
        recorded.run(&host, &uuid).ok();
        let next = host.vm_param(&uuid, "dom-id");
        assert_ne!(next, domain);
        recorded.run_from_front_end(&host, &uuid).ok();
        assert_ne!(host.vm_param(&uuid, "dom-id"), next);
        steps::each_call(&host, &WAYS, &|host| recorded.command(host, &uuid), &|host, step| {
            assert_eq!(state(host, &uuid), "running", "{step:#?}");
            recorded.run(host, &uuid).ok();
        });
    }
    host.sim(&["fail", "vm-reboot", "--code", "VM_LACKS_FEATURE"]);
    let line = RecordedAction::load("reboot", "reboot").run(&host, &uuid).failure();
    assert!(line.contains("no running guest tools") && line.contains("--hard"), "{line}");
}

#[test]
fn a_vm_that_is_gone_or_halted_is_not_restarted_nor_suspended() {
    let (host, uuid) = running();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let before = host.dump();
    for action in ["reboot", "reset", "save"] {
        let recorded = RecordedAction::load(action, action);
        assert!(recorded.run(&host, &uuid).failure().contains("is halted"));
        let gone = recorded.run(&host, "99999999-2222-3333-4444-000000000009").failure();
        assert!(gone.contains("the pool has no VM"), "{gone}");
    }
    host.is_as(&before);
}
