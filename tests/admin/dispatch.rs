//! How the program is called: by links, by copies of the links, by hand; with plain input and with base64.
use crate::common::{Host, Recorded, said};
use base64::Engine;
use std::fs;

#[test]
fn an_unknown_name_is_refused_with_the_list() {
    let host = Host::new();
    let line = host.one_xcp(&["frobnicate", "1"]).failure();
    assert!(
        line.starts_with("one-xcp: there is no action \"frobnicate\"; there are ")
            && line.contains("cancel, deploy, "),
        "{line}"
    );
}

#[test]
fn each_action_explains_its_arguments() {
    let host = Host::new();
    let mut actions = vec!["deploy", "shutdown", "cancel", "migrate", "poll"];
    actions.extend(["attach_disk", "detach_disk", "attach_nic", "detach_nic"]);
    for action in actions {
        let help = host.run(action, &["--help"], b"").ok();
        let word = if action == "deploy" { "deployment file" } else { "DEPLOY_ID" };
        assert!(help.contains(word) && help.contains("host"), "{help}");
    }
}

#[test]
fn a_wrong_command_line_is_told_in_one_line() {
    let host = Host::new();
    let missing = "deploy: the following required arguments were not provided: <HOST>; usage: one-xcp deploy \
                   <DEPLOYMENT_FILE> <HOST>.";
    let uuid = "11111111-2222-3333-4444-000000000001";
    for (action, args, line) in [
        ("deploy", ["x"].as_slice(), missing),
        (
            "reset",
            &[uuid, "xcp-a", "one"],
            "reset: invalid value 'one' for '[VM_ID]': a whole number is wanted.",
        ),
        (
            "shutdown",
            &[uuid, "xcp-a", "99999999999999999999"],
            "shutdown: invalid value '99999999999999999999' for '[VM_ID]': the number is too large.",
        ),
    ] {
        assert_eq!(host.run(action, args, b"").failure(), line);
    }
}

#[test]
fn releases_up_to_6_0_2_get_the_error_between_marks() {
    let host = Host::new();
    fs::write(host.path("remotes/VERSION"), "5.12.0.4\n").unwrap();
    for args in [["11111111-2222-3333-4444-000000000001", "xcp-b", "xcp-a"].as_slice(), &["no uuid"]] {
        let said = host.run("migrate", args, b"");
        let lines: Vec<&str> = said.stderr.lines().collect();
        let marks = ("ERROR MESSAGE --8<------", "ERROR MESSAGE ------>8--");
        assert_eq!((lines[0], lines[2]), marks, "{said:?}");
    }
    fs::write(host.path("remotes/VERSION"), "6.0.3\n").unwrap();
    host.run("migrate", &["11111111-2222-3333-4444-000000000001", "xcp-b", "xcp-a"], b"").failure();
}

#[test]
fn a_copy_of_a_link_works_as_the_link() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let copy = host.path("remotes/vmm/xcp/copied/poll");
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::copy(crate::common::PROGRAM, &copy).unwrap();
    assert_eq!(said(host.command(&copy).args([&uuid, "xcp-a"]), b"").ok(), "STATE=a MEMORY=524288");
}

#[test]
fn base64_on_standard_input_is_the_same_document() {
    let host = Host::new();
    let packed = base64::engine::general_purpose::STANDARD.encode(Recorded::load("deploy").stdin);
    let uuid = host.deploy_document("xcp-a", packed.as_bytes()).ok();
    assert_eq!(host.vm_param(&uuid, "name-label"), "one-1");
}

#[test]
fn settings_come_from_the_file_and_the_environment_wins() {
    let host = Host::new();
    fs::create_dir_all(host.path("remotes/etc/vmm/xcp")).unwrap();
    fs::write(host.path("remotes/etc/vmm/xcp/xcprc"), "DEFAULT_SR=\"no such SR\"\n").unwrap();
    let line = host.deploy().failure();
    assert!(line.contains("\"no such SR\""), "{line}");
    let host = host.set("DEFAULT_SR", "Shared NFS");
    host.deploy().ok();
}

#[test]
fn the_file_of_settings_holds_every_setting_and_no_other() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/remotes/etc/vmm/xcp/xcprc")).unwrap();
    let named = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let mut named: Vec<&str> = named
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    let mut known = one_xcp::one::conf::NAMES.to_vec();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn from_the_front_end_the_host_of_the_arguments_is_asked_and_no_secret_is_on_a_command_line() {
    let host = Host::with_pool(&["--password", "top secret"]);
    let file = host.path("password");
    fs::write(&file, "root\ntop secret\n").unwrap();
    let host = host.set("XE_SERVER", "HOST").set("XE_PASSWORD_FILE", file.to_str().unwrap());
    let recorded = Recorded::load_from("opennebula-7.4-local", "deploy");
    let local = host.path("vms/3/deployment.0");
    let folder = host.vm_folder(0, 3);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::rename(host.vm_folder(0, 1), &folder).unwrap();
    let uuid = host.run("deploy", &[local.to_str().unwrap(), "xcp-a", "3", "xcp-a"], &recorded.stdin).ok();
    assert_eq!(
        host.xe(&["-s", "xcp-a", "-pwf", file.to_str().unwrap(), "vm-list", "name-label=one-3", "--minimal"]),
        uuid
    );
    let shutdown = Recorded::load_from("opennebula-7.4-local", "shutdown");
    // A member of the pool sends us to the coordinator.
    host.run("shutdown", &[&uuid, "xcp-b", "3", "xcp-b"], &shutdown.stdin).ok();
    assert!(!host.sim(&["log"]).contains("top secret"));
    fs::write(&file, "root\nwrong\n").unwrap();
    let line = host.run("poll", &[&uuid, "xcp-a"], b"").failure();
    assert!(line.contains("Authentication failed") && !line.contains("wrong"), "{line}");
}

#[test]
fn install_sh_can_ask_what_the_program_was_built_with() {
    let features = Host::new().one_xcp(&["features"]).ok();
    assert_eq!(features.split(' ').any(|feature| feature == "tls"), cfg!(feature = "tls"));
}
