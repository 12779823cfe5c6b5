//! Monitoring by OpenNebula up to 5.10, called as its `run_probes` and `stop_probes` do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Host, Said, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What `run_probes` does with `im/xcp.d` (3.4 to 5.10), and `stop_probes`. Standard input holds what is not
/// ours to read.
const RUN: &str = r#"cd "$1" && shift && for i in *; do [ ! -x "$i" ] || ./"$i" "$@" || exit; done; cat"#;
const UNREAD: &[u8] = b"the commands that come after\n";

fn run_probes(host: &Host, args: &[&str]) -> Said {
    let mut command: Command = host.command("bash");
    command.args(["-c", RUN, "run_probes"]).arg(host.path("remotes/im/xcp.d")).args(args);
    said(&mut command, UNREAD)
}

/// A host of OpenNebula 5.10.5.
fn host(release: &str) -> Host {
    let host = Host::new();
    fs::write(host.path("remotes/VERSION"), format!("{release}\n")).unwrap();
    host
}

fn args(host: &Host) -> Vec<String> {
    let datastores = host.path("datastores").display().to_string();
    ["xcp", &datastores, "4124", "20", "3", "xcp-a"].map(str::to_owned).into()
}

fn polled(host: &Host) -> String {
    let args = args(host);
    let text = run_probes(host, &args.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    text.strip_suffix(std::str::from_utf8(UNREAD).unwrap().trim_end()).unwrap().to_owned()
}

#[test]
fn everything_is_printed_at_once_and_nobody_stays_behind() {
    let host = host("5.10.5");
    let uuid = host.deploy().ok();
    host.sim(&["guest", &uuid, "ip=10.0.0.7"]);
    fs::write(host.path("datastores/0/.monitor"), "ssh\n").unwrap();
    let text = polled(&host);
    for line in ["HYPERVISOR=\"xcp\"", "TOTALCPU=800", "VERSION=\"5.10.5\"", "VM_POLL=YES"] {
        assert!(text.lines().any(|given| given == line), "{line} is not in\n{text}");
    }
    for start in ["USEDMEMORY=", "FREECPU=", "DS = [ ID=0, USED_MB="] {
        assert!(text.lines().any(|given| given.starts_with(start)), "{start} is not in\n{text}");
    }
    let vm = format!(
        "VM=[ ID=1, DEPLOY_ID={uuid}, POLL=\"STATE=a MEMORY=524288 GUEST_IP=10.0.0.7 DISK_SIZE=[ID=0,"
    );
    assert!(text.lines().any(|line| line.starts_with(&vm)), "{text}");
    assert!(!text.contains("GUEST_IP_ADDRESSES"), "{text}");
    assert!(!host.path("state/monitor-3.pid").exists());
    assert_eq!(run_probes(&host, &["stop"]).ok().as_bytes(), UNREAD.trim_ascii_end());
}

#[test]
fn states_are_letters_and_wild_vms_have_them_too() {
    let host = host("5.10.5");
    let uuid = host.deploy().ok();
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    let mail = host.xe(&["vm-list", "name-label=Mail server", "--minimal"]);
    host.xe(&["vm-migrate", &format!("uuid={mail}"), "host=xcp-a", "live=true"]);
    let text = polled(&host);
    assert!(text.contains(&format!("VM=[ ID=1, DEPLOY_ID={uuid}, POLL=\"STATE=p ")), "{text}");
    let wild = format!("VM=[ ID=-1, DEPLOY_ID={mail}, VM_NAME=\"Mail server\", IMPORT_TEMPLATE=\"");
    let wild = text.lines().find(|line| line.starts_with(&wild)).unwrap();
    assert!(wild.contains("POLL=\"STATE=a MEMORY="), "{wild}");
    host.xe(&["vm-unpause", &format!("uuid={uuid}")]);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    assert!(!polled(&host).contains(&uuid), "what is not listed has disappeared");
}

#[test]
fn releases_before_4_14_have_other_names_and_before_4_0_no_vms() {
    let host = host("4.12.3");
    let uuid = host.deploy().ok();
    let vm = format!("VM=[ ID=1, DEPLOY_ID={uuid}, POLL=\"STATE=a USEDMEMORY=524288 USEDCPU=");
    assert!(polled(&host).lines().any(|line| line.starts_with(&vm)), "{}", polled(&host));
    // 4.4 to 4.10 have no VERSION; nor have those before, which give fewer arguments and join lines with blanks.
    fs::remove_file(host.path("remotes/VERSION")).unwrap();
    let args = args(&host);
    let text = said(host.command(host.path("remotes/im/xcp.d/monitord-client_control.sh")).args(&args), b"");
    assert!(text.ok().lines().any(|line| line.starts_with(&vm)));
    let text = said(
        host.command(host.path("remotes/im/xcp.d/monitord-client_control.sh")).args(["xcp", "3", "xcp-a"]),
        b"",
    )
    .ok();
    assert!(text.contains("TOTALCPU=800") && text.contains("USEDCPU="), "{text}");
    assert!(text.lines().all(|line| !line.contains([',', '['])), "{text}");
}

#[test]
fn the_administrators_probes_speak_too() {
    let host = host("5.10.5");
    for (name, text) in [
        ("rack", "#!/bin/sh\necho \"RACK=\\\"$*\\\"\"\n"),
        ("broken", "#!/bin/sh\necho no sensor >&2\nexit 3\n"),
    ] {
        let path = host.path("remotes/im/xcp-probes.d").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let text = polled(&host);
    assert!(text.contains(&format!("RACK=\"{}\"\n", args(&host).join(" "))), "{text}");
    assert!(text.contains("VM_POLL=YES\n") && !text.contains("no sensor"), "{text}");
}

#[test]
fn a_host_that_cannot_be_asked_is_said_between_marks() {
    let host = host("5.10.5");
    host.sim(&["fail", "host-list", "--code", "INTERNAL_ERROR", "--always"]);
    let args = args(&host);
    let failed = run_probes(&host, &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""));
    assert!(failed.stderr.contains("ERROR MESSAGE --8<------\nmonitord-client_control.sh: "), "{failed:?}");
}
