//! The whole way: install.sh with the real program, the copy that OpenNebula makes of the remotes for a host,
//! and the actions through that copy.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Host, PROGRAM, Recorded, Said, said};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Remotes on a front-end, and their copy as a host gets it: links followed (HostSyncManager.rb:89).
fn installed(host: &Host) -> PathBuf {
    let (remotes, copy) = (host.path("front end/remotes"), host.path("host/one"));
    fs::create_dir_all(&remotes).unwrap();
    fs::create_dir_all(&copy).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
    let mut install = Command::new("sh");
    let said = said(install.arg(script).args(["--binary", PROGRAM, "--remotes"]).arg(&remotes), b"");
    said.ok();
    let copied = Command::new("cp").arg("-RL").arg(remotes.join(".")).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&remotes).unwrap();
    copy
}

fn run(host: &Host, copy: &Path, script: &str, args: &[&str], stdin: &[u8]) -> Said {
    said(host.command(copy.join(script)).args(args), stdin)
}

#[test]
fn a_vm_lives_through_the_copied_scripts() {
    let host = Host::new();
    let copy = installed(&host);
    let file = host.vm_folder(0, 1).join("deployment.0").display().to_string();
    let stdin = |name: &str| Recorded::load(name).stdin;
    let uuid = run(&host, &copy, "vmm/xcp/deploy", &[&file, "xcp-a", "1", "xcp-a"], &stdin("deploy")).ok();
    assert_eq!(run(&host, &copy, "vmm/xcp/poll", &[&uuid, "xcp-a"], b"").ok(), "STATE=a MEMORY=524288");
    run(&host, &copy, "vmm/xcp/migrate", &[&uuid, "xcp-b", "xcp-a", "1", "xcp-a"], &stdin("migrate")).ok();
    let probe = "im/xcp-probes.d/vm/status/xcp-status";
    let line = run(&host, &copy, probe, &["xcp", "0", "xcp-b"], &stdin("run_monitord_client")).ok();
    assert!(line.contains(&uuid), "{line}");
    for (probe, says) in [
        ("host/beacon/xcp-beacon", "BEACON="),
        ("host/system/xcp-system", "VM_NAME=\"Mail server\""),
        ("host/monitor/xcp-monitor", "USEDMEMORY="),
        ("vm/monitor/xcp-monitor", uuid.as_str()),
        ("vm/snapshot/xcp-snapshot", "VM_NAME=\"Mail server\""),
        ("vm/execution/xcp-execution", ""),
    ] {
        let probe = format!("im/xcp-probes.d/{probe}");
        let text = run(&host, &copy, &probe, &["xcp", "0", "xcp-b"], &stdin("run_monitord_client")).ok();
        assert!(text.contains(says) && text.is_empty() == says.is_empty(), "{probe}: {text}");
    }
    run(&host, &copy, "vmm/xcp/shutdown", &[&uuid, "xcp-b", "1", "xcp-b"], &stdin("shutdown.3")).ok();
    assert_eq!(host.xe(&["vm-list", "name-label=one-1", "--minimal"]), "");
}

#[test]
fn what_is_copied_is_what_the_program_lists() {
    let host = Host::new();
    let copy = installed(&host);
    for link in host.one_xcp(&["links"]).ok().lines() {
        let meta = fs::metadata(copy.join(link)).unwrap();
        assert!(meta.is_file() && meta.len() < 4096, "{link}: {} bytes", meta.len());
    }
    for kind in [
        "host/beacon",
        "host/system",
        "host/monitor",
        "vm/status",
        "vm/monitor",
        "vm/snapshot",
        "vm/execution",
    ] {
        assert!(copy.join("im/xcp-probes.d").join(kind).is_dir(), "{kind}");
    }
}

#[test]
fn the_installed_settings_are_read() {
    let host = Host::new();
    let copy = installed(&host);
    let settings = copy.join("etc/vmm/xcp/xcprc");
    let text = fs::read_to_string(&settings).unwrap().replace("#DEFAULT_SR=", "DEFAULT_SR=\"no such SR\"");
    fs::write(&settings, text).unwrap();
    let file = host.vm_folder(0, 1).join("deployment.0").display().to_string();
    let args = [&file, "xcp-a", "1", "xcp-a"];
    let line = run(&host, &copy, "vmm/xcp/deploy", &args, &Recorded::load("deploy").stdin).failure();
    assert!(line.contains("no SR with the name-label \"no such SR\""), "{line}");
}
