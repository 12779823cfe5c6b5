//! `one-xcp doctor --try`: a VM's life on the pool, which afterwards is as it was before.
use crate::common::serve::Serving;
use crate::common::{Host, PROGRAM, Said};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const STEPS: [&str; 17] = [
    "deploy",
    "poll",
    "VM status",
    "VM figures",
    "host figures",
    "console",
    "attach_disk",
    "detach_disk",
    "snapshot_create",
    "snapshot_revert",
    "snapshot_delete",
    "save",
    "restore",
    "migrate",
    "poweroff",
    "deploy again",
    "terminate",
];

/// A host on which the doctor finds nothing that is broken; the simulated XAPI serves consoles.
fn host(options: &[&str]) -> (Host, Serving) {
    let host = Host::with_pool(options);
    symlink(PROGRAM, host.path("remotes/vmm/xcp/one-xcp")).unwrap();
    let xapi = host.serve("xcp-a");
    let socket = xapi.socket.display().to_string();
    (host.set("XAPI_SOCKET", &socket).set("CONSOLE", "yes"), xapi)
}

fn try_it(host: &Host, more: &[&str]) -> Said {
    host.one_xcp(&[&["doctor", "xcp-a", "--remotes", "remotes", "--try"], more].concat())
}

/// Names and uuids of all VMs and VDIs.
fn objects(host: &Host) -> String {
    let of = |list: &str| host.xe(&[list, "params=uuid,name-label,power-state"]);
    format!("{}{}{}", of("vm-list"), of("vdi-list"), of("snapshot-list"))
}

fn verdict<'a>(said: &'a Said, step: &str) -> &'a str {
    let of_step = |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(&format!("{step} ")));
    let line = said.stdout.lines().filter(|line| line.contains(" calls")).find(of_step);
    line.unwrap_or_else(|| panic!("no step {step}: {said:#?}"))
}

#[test]
fn every_step_of_a_life_passes_and_nothing_is_left() {
    let (host, _xapi) = host(&[]);
    let before = objects(&host);
    let said = try_it(&host, &[]);
    for step in STEPS {
        assert!(verdict(&said, step).starts_with("ok "), "{step}: {said:#?}");
    }
    said.ok();
    assert_eq!(objects(&host), before);
    assert_eq!(
        fs::read_dir(host.path(""))
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("one-xcp-trial-")
            })
            .count(),
        0
    );
}

#[test]
fn a_step_that_fails_is_named_and_the_others_are_tried() {
    let (host, _xapi) = host(&[]);
    let before = objects(&host);
    host.sim(&["fail", "vm-suspend", "--code", "SR_BACKEND_FAILURE_44", "--params", "x"]);
    let said = try_it(&host, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.ends_with("doctor: steps that failed: save.\n"), "{said:#?}");
    let save = verdict(&said, "save");
    assert!(save.starts_with("FAIL ") && save.contains("SR_BACKEND_FAILURE_44"), "{save}");
    assert!(verdict(&said, "terminate").starts_with("ok "), "{said:#?}");
    assert_eq!(objects(&host), before);
}

#[test]
fn a_deployment_that_fails_ends_it() {
    let (host, _xapi) = host(&[]);
    let before = objects(&host);
    host.sim(&["fail", "vm-start", "--code", "HOST_NOT_ENOUGH_FREE_MEMORY", "--params", "1"]);
    let said = try_it(&host, &[]);
    assert!(said.stderr.ends_with("doctor: steps that failed: deploy.\n"), "{said:#?}");
    assert!(!said.stdout.contains("poll"), "{said:#?}");
    assert_eq!(objects(&host), before);
}

#[test]
fn what_a_failed_end_leaves_is_removed_or_named() {
    let (host, _xapi) = host(&[]);
    let before = objects(&host);
    // The step fails, and what it left is removed after it.
    host.sim(&["fail", "vm-shutdown", "--nth", "2", "--code", "INTERNAL_ERROR", "--params", "x"]);
    let said = try_it(&host, &[]);
    assert!(said.stderr.contains("doctor: steps that failed: terminate."), "{said:#?}");
    assert_eq!(objects(&host), before);
    host.sim(&["clear"]);
    host.sim(&["fail", "vm-shutdown", "--always", "--code", "INTERNAL_ERROR", "--params", "x"]);
    let said = try_it(&host, &["--json"]);
    assert_eq!(said.code, Some(1));
    assert_ne!(objects(&host), before);
}

#[test]
fn a_guest_without_drivers_skips_what_needs_them() {
    let (host, _xapi) = host(&["--no-tools"]);
    let before = objects(&host);
    let said = try_it(&host, &[]);
    let attach = verdict(&said, "attach_disk");
    assert!(attach.starts_with("skip ") && attach.contains("no PV drivers"), "{attach}");
    said.ok();
    assert_eq!(objects(&host), before);
}

#[test]
fn in_a_pool_of_one_host_it_does_not_migrate() {
    let (host, _xapi) = host(&["--hosts", "1"]);
    let said = try_it(&host, &["--json"]);
    let steps: Vec<&str> = said.stdout.lines().filter(|line| line.contains("\"step\":")).collect();
    assert_eq!(steps.len(), STEPS.len(), "{steps:#?}");
    let migrate = steps.iter().find(|line| line.contains("\"step\":\"migrate\"")).unwrap();
    assert!(migrate.contains(r#""verdict":"skip","reason":"the pool has one host""#), "{migrate}");
    said.ok();
}

#[test]
fn a_report_has_the_calls_and_nobodys_names() {
    let (host, _xapi) = host(&[]);
    let file = host.path("report");
    let path = file.to_str().unwrap();
    try_it(&host, &["--report", path]).ok();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.contains("xe vdi-create sr-uuid="), "{text}");
    for name in ["xcp-a", "xcp-b", "Shared NFS", "192.168."] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    let said = try_it(&host, &["--report", path]);
    assert!(said.stderr.contains("cannot make"), "{said:#?}");
}
