//! `migrate`, through its link, with what a real oned sent.
use crate::common::Host;
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use std::fs;

#[test]
fn a_running_vm_moves_to_the_other_host_and_stays_the_same_vm() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    assert_eq!(host.vm_param(&uuid, "power-state"), "running");
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
}

#[test]
fn repeated_it_is_success() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.on_vm("migrate", "migrate", &uuid).ok();
    let before = host.dump();
    let said = host.on_vm("migrate", "migrate", &uuid);
    assert!(said.stderr.contains("already runs on xcp-b"), "{said:?}");
    said.ok();
    host.is_as(&before);
}

#[test]
fn refusals_come_in_plain_words_with_xapis_code() {
    let cases = [
        ("VM_LACKS_FEATURE", "the guest has no running guest tools"),
        ("VDI_CBT_ENABLED", "changed block tracking is on"),
        ("HOST_NOT_ENOUGH_FREE_MEMORY", "not enough free memory"),
        ("HOST_DISABLED", "the destination is disabled"),
    ];
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    for (code, words) in cases {
        host.sim(&["fail", "vm-migrate", "--code", code]);
        let line = host.on_vm("migrate", "migrate", &uuid).failure();
        assert!(line.contains(words) && line.contains(code), "{line}");
        host.is_as(&before);
    }
}

#[test]
fn a_disabled_host_really_refuses() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.xe(&["host-disable", "name-label=xcp-b"]);
    let line = host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(line.contains("the destination is disabled") && line.contains("HOST_DISABLED"), "{line}");
    assert_eq!(host.host_of(&uuid), "xcp-a");
}

#[test]
fn the_answer_is_success_when_only_it_was_lost() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.sim(&["hang", "vm-migrate", "--after"]);
    let host = host.set("XE_TRANSFER_TIMEOUT", "1");
    host.on_vm("migrate", "migrate", &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
}

#[test]
fn disks_on_local_storage_move_with_the_vm() {
    let host = Host::with_pool(&["--password", "secret,with comma"]);
    let local = host.xe(&["sr-list", "name-label=Local storage", "--minimal"]);
    let own = local.split(',').find(|sr| {
        let hosts = host.xe(&["pbd-list", &format!("sr-uuid={sr}"), "params=host-uuid", "--minimal"]);
        host.xe(&["host-list", &format!("uuid={hosts}"), "params=name-label", "--minimal"]) == "xcp-a"
    });
    let host = host.set("DEFAULT_SR", own.unwrap());
    let uuid = host.deploy().ok();

    let line = host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(line.contains("XE_PASSWORD_FILE"), "{line}");

    let file = host.path("password");
    fs::write(&file, "root\nsecret,with comma\n").unwrap();
    let host = host.set("XE_PASSWORD_FILE", file.to_str().unwrap());
    // As a backup has left it: XAPI moves no disk whose changes are tracked.
    host.xe(&["vdi-enable-cbt", &format!("uuid={}", host.vdi_in(&uuid, "0"))]);
    let tags = || {
        let tags = |place: &str| {
            let vdi = format!("uuid={}", host.vdi_in(&uuid, place));
            let tags = host.xe(&["vdi-param-get", &vdi, "param-name=tags"]);
            let mut tags: Vec<String> = tags.split(", ").map(str::to_owned).collect();
            tags.sort();
            tags
        };
        (host.vdi_in(&uuid, "0"), tags("0"), tags("1"))
    };
    let before = tags();
    assert!(before.1.contains(&format!("one-vm-{uuid}")), "{before:?}");
    host.forget_calls();
    let disc = || {
        let drive =
            [format!("vm-uuid={uuid}"), "type=CD".into(), "params=vdi-uuid".into(), "--minimal".into()];
        host.xe(&["vbd-list", &drive[0], &drive[1], &drive[2], &drive[3]])
    };
    let (disc_before, disc_bytes) = (disc(), host.vdi_bytes(&disc()));
    let said = host.on_vm("migrate", "migrate", &uuid);
    let now = tags();
    // XAPI has taken it out of its drive, and the destination does not see where it was.
    assert!(disc() != disc_before && host.vdi_bytes(&disc()) == disc_bytes, "{said:#?}");
    assert_eq!(host.xe(&["vdi-list", &format!("uuid={disc_before}"), "--minimal"]), "");
    let tagged = host.xe(&["vdi-list", &format!("tags:contains=one-vm-{uuid}"), "--minimal"]);
    assert_eq!(tagged.split(',').count(), 3, "{tagged}");
    assert_ne!(now.0, before.0);
    assert_eq!((&now.1, &now.2), (&before.1, &before.2), "the disks are still known for the VM's");
    assert!(said.stderr.contains("INFO: the changes of the VM's disks are no longer tracked"), "{said:#?}");
    said.ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
    // As it is left if the driver is killed when the VM has moved: done again, the tags are there again.
    for device in ["0", "1"] {
        let vdi = format!("uuid={}", host.vdi_in(&uuid, device));
        host.xe(&["vdi-param-clear", &vdi, "param-name=tags"]);
    }
    let before = now;
    host.on_vm("migrate", "migrate", &uuid).ok();
    let own = |disk: &str| {
        let mut own = vec![format!("one-vm-{uuid}"), format!("one-1-disk-{disk}")];
        own.sort();
        own
    };
    assert_eq!(tags(), (before.0, own("0"), own("1")));
    let log = host.sim(&["log"]);
    assert!(!log.contains("secret"), "{log}");
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    assert_eq!(host.xe(&["vdi-list", &format!("tags:contains=one-vm-{uuid}"), "--minimal"]), "");
}

#[test]
fn a_vm_that_is_gone_or_halted_is_an_error() {
    let host = Host::new();
    let line = host.on_vm("migrate", "migrate", "11111111-2222-3333-4444-000000000001").failure();
    assert_eq!(line, "migrate: the pool has no VM 11111111-2222-3333-4444-000000000001.");
    let uuid = host.deploy().ok();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let line = host.on_vm("migrate", "migrate", &uuid).failure();
    assert!(line.contains("is halted: only a running VM"), "{line}");
}

#[test]
fn whichever_call_goes_wrong_the_vm_is_on_one_host_and_the_pool_as_before_or_done() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let args = [uuid.as_str(), "xcp-b", "xcp-a", "1", "xcp-a"];
    steps::each_call(
        &host,
        &[Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated],
        &|host| host.action("migrate", &args, b""),
        &|host, step| {
            assert_eq!(host.vm_param(&uuid, "power-state"), "running", "{step:#?}");
            if step.said.code == Some(0) {
                assert_eq!(host.host_of(&uuid), "xcp-b", "{step:#?}");
            } else if step.wrong == Wrong::Refused && step.nth <= 3 {
                host.is_as_after(&step.before, format_args!("{step:#?}"));
            }
            host.run("migrate", &args, b"").ok();
            assert_eq!(host.host_of(&uuid), "xcp-b", "{step:#?}");
        },
    );
}

#[test]
fn under_its_old_local_name_it_asks_the_host_over_the_network() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let file = host.path("password");
    fs::write(&file, "root\nxen\n").unwrap();
    let local = RecordedAction { action: "migrate_local", ..RecordedAction::load("migrate", "migrate") };
    // On the front-end there is no XAPI, so one that is asked without a name does not answer there.
    let line = local.run(&host, &uuid).failure();
    assert!(line.contains("Authentication failed"), "{line}");
    let host = host.set("XE_PASSWORD_FILE", file.to_str().unwrap());
    local.run(&host, &uuid).ok();
    assert_eq!(host.host_of(&uuid), "xcp-b");
}
