//! `exec` and `exec_cancel`, through their links, and the probe that tells how a command ended.
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, Said, said};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A pool that allows commands, and a guest whose agent runs them.
fn willing() -> Host {
    let host = Host::new();
    host.deploy().ok();
    allow(&host);
    host.sim(&["guest", "one-1", "scripts=yes"]);
    host
}

fn allow(host: &Host) {
    let pool = host.xe(&["pool-list", "--minimal"]);
    host.xe(&["pool-param-set", &format!("uuid={pool}"), "other-config:allow_guest_agent_run_script=true"]);
}

/// The recorded call, with another command; the recorded DEPLOY_ID is made ours.
fn exec(host: &Host, uuid: &str, command: &str) -> (std::process::Command, Vec<u8>) {
    let recorded = Recorded::load("exec").with("11111111-2222-3333-4444-000000000001", uuid);
    let mut called = host.command(host.path("remotes/vmm/xcp/exec"));
    called.args(&recorded.argv[..2]).arg(command);
    (called, recorded.stdin)
}

fn uuid_of(host: &Host) -> String {
    host.xe(&["vm-list", "name-label=one-1", "--minimal"])
}

fn run(host: &Host, command: &str) -> Said {
    let (mut called, stdin) = exec(host, &uuid_of(host), command);
    said(&mut called, &stdin)
}

fn told(host: &Host) -> String {
    let probe = host.path("remotes/im/xcp-probes.d/vm/execution/xcp-execution");
    said(host.command(probe).args(["xcp", "0", "xcp-a"]), b"").ok()
}

#[test]
fn a_commands_result_is_told_by_the_probe_again_and_again() {
    let host = willing();
    run(&host, "echo hello there").ok();
    let out = STANDARD.encode("hello there\r\n");
    let line = format!(
        "VM = [ ID=\"1\", PID=\"0\", STATUS=\"DONE\", RETURN_CODE=\"0\", STDOUT=\"{out}\", STDERR=\"\" ]"
    );
    assert_eq!(told(&host), line);
    assert_eq!(told(&host), line);
    run(&host, "uname -a").ok();
    let line = told(&host);
    assert!(line.contains("RETURN_CODE=\"1\"") && line.lines().count() == 1, "{line}");
}

#[test]
fn with_base64_from_the_front_end_it_is_the_same() {
    let host = willing();
    let (mut called, stdin) = exec(&host, &uuid_of(&host), "echo hello");
    let password = host.path("password");
    std::fs::write(&password, "root\nxen\n").unwrap();
    called.env("XE_SERVER", "xcp-a").env("XE_PASSWORD_FILE", password);
    said(&mut called, STANDARD.encode(stdin).as_bytes()).ok();
    assert!(told(&host).contains(&STANDARD.encode("hello\r\n")));
}

#[test]
fn by_hand_the_vm_is_found_by_its_number() {
    let host = willing();
    host.run("exec", &["1", "xcp-a", "echo x"], b"").ok();
    assert!(told(&host).contains("RETURN_CODE=\"0\""));
    let line = host.run("exec", &["2", "xcp-a", "echo x"], b"").failure();
    assert_eq!(line, "exec: the pool has no VM of OpenNebula's number 2.");
}

#[test]
fn exec_cancel_gives_the_result_up_and_may_be_repeated() {
    let host = willing();
    run(&host, "echo x").ok();
    host.run("exec_cancel", &["1", "xcp-a"], &Recorded::load("exec").stdin).ok();
    assert_eq!(told(&host), "");
    host.run("exec_cancel", &["1", "xcp-a"], b"").ok();
}

#[test]
fn what_is_missing_is_named_and_nothing_is_run() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    let line = run(&host, "echo x").failure();
    assert!(line.contains("no agent that runs commands for XAPI: XenServer's tools for Windows"), "{line}");
    host.sim(&["guest", "one-1", "scripts=yes"]);
    let line = run(&host, "echo x").failure();
    assert!(line.contains("the pool does not allow it") && line.contains("FEATURE_RESTRICTED"), "{line}");
    host.sim(&["guest", "one-1", "scripts=no"]);
    host.is_as(&before);
    for (command, words) in [("", "no command"), (&*"x".repeat(1025), "1025 bytes: XAPI takes at most 1024")]
    {
        let line = run(&host, command).failure();
        assert!(line.contains(words), "{line}");
    }
    let line = host.run("exec", &["1", "xcp-a", "cat", "input"], b"").failure();
    assert!(line.contains("no way to give a command in a guest its standard input"), "{line}");
    host.is_as(&before);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let line = run(&host, "echo x").failure();
    assert!(line.contains("is halted, not running"), "{line}");
    assert_eq!(told(&host), "");
}

#[test]
fn a_call_that_fails_leaves_no_result_of_before() {
    let host = willing();
    run(&host, "echo of before").ok();
    let uuid = uuid_of(&host);
    let action = |host: &Host| exec(host, &uuid, "echo now");
    steps::each_call(
        &host,
        &[Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated],
        &action,
        &|host, step| {
            host.is_as_after(&step.before, format_args!("{step:#?}"));
            if step.said.code == Some(0) {
                assert!(told(host).contains(&STANDARD.encode("now\r\n")), "{step:#?}");
            }
            run(host, "echo now").ok();
            assert!(told(host).contains(&STANDARD.encode("now\r\n")));
        },
    );
}

#[test]
fn a_file_of_somebody_elses_making_is_no_result() {
    let host = willing();
    run(&host, "echo x").ok();
    let kept = host.path("state/exec-1");
    assert!(kept.is_file());
    std::fs::rename(&kept, host.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(host.path("elsewhere"), &kept).unwrap();
    assert_eq!(told(&host), "");
}
