//! Bad input for every action that takes a VM: one clear line, exit 1, and the pool as it was.
use crate::common::{Host, Recorded, Said};

pub const RECORDED_UUID: &str = "11111111-2222-3333-4444-000000000001";

/// Every script of `vmm/xcp` for a VM that is there, by what a real oned sent it.
pub const ACTIONS: [(&str, &str); 20] = [
    ("attach_disk", "attach_disk"),
    ("attach_nic", "attach_nic"),
    ("cancel", "cancel"),
    ("detach_disk", "detach_disk"),
    ("detach_nic", "detach_nic"),
    ("exec", "exec"),
    ("migrate", "migrate"),
    ("migrate_local", "migrate"),
    ("prereconfigure", "prereconfigure"),
    ("reboot", "reboot"),
    ("reconfigure", "reconfigure"),
    ("reset", "reset"),
    ("resize", "resize"),
    ("resize_disk", "resize_disk"),
    ("restore", "restore"),
    ("save", "save"),
    ("shutdown", "shutdown"),
    ("snapshot_create", "snapshot_create"),
    ("snapshot_delete", "snapshot_delete"),
    ("snapshot_revert", "snapshot_revert"),
];

fn run(host: &Host, action: &str, recorded: &Recorded, uuid: &str, stdin: &[u8]) -> Said {
    let args: Vec<String> = recorded.argv.iter().map(|arg| arg.replace(RECORDED_UUID, uuid)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    host.run(action, &args, stdin)
}

#[track_caller]
fn refused(host: &Host, before: &str, said: &Said, what: &str) {
    assert_eq!(said.code, Some(1), "{what}: {said:#?}");
    let line = said.stderr.lines().filter(|line| !line.starts_with("INFO: ")).collect::<Vec<_>>();
    assert!(line.len() == 1 && line[0].chars().count() < 500, "{what}: not one clear line: {said:#?}");
    host.is_as_after(before, format_args!("{what} has changed the pool"));
}

#[test]
fn messages_that_are_none() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    for (action, name) in ACTIONS {
        let recorded = Recorded::load(name);
        let whole = &recorded.stdin;
        let bomb = b"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><VM><ID>&c;</ID></VM>";
        let nested = "<A>".repeat(100_000);
        let not_utf8 = [b"<VMM_DRIVER_ACTION_DATA>\xff\xfe", &whole[24..]].concat();
        let bad: [(&str, &[u8]); 7] = [
            ("half a message", &whole[..whole.len() / 2]),
            ("a message without its last line", &whole[..whole.len() - 20]),
            ("bytes that are no UTF-8", &not_utf8),
            ("another document", b"<IMAGE><ID>1</ID></IMAGE>"),
            ("an entity bomb", bomb),
            ("deep nesting", nested.as_bytes()),
            ("no XML", b"uuid ( RO): 7; $(touch pwned)"),
        ];
        for (what, stdin) in bad {
            let said = run(&host, action, &recorded, &uuid, stdin);
            refused(&host, &before, &said, &format!("{action} with {what}"));
        }
    }
}

#[test]
fn a_deploy_id_that_is_none() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let before = host.dump();
    let forced = format!("{uuid}\nforce=true");
    for (action, name) in ACTIONS {
        let recorded = Recorded::load(name);
        if !recorded.argv.iter().any(|arg| arg == RECORDED_UUID) {
            continue;
        }
        for none in ["", " ", "one-1", "--multiple", "uuid", &uuid[..35], &forced, "server=192.168.9.9"] {
            let said = run(&host, action, &recorded, none, &recorded.stdin);
            assert_ne!(said.code, Some(0), "{action} {none:?}: {said:#?}");
            assert_eq!(said.stderr.lines().count(), 1, "{action} {none:?}: {said:#?}");
            host.is_as_after(&before, format_args!("{action} {none:?} has changed the pool"));
        }
    }
}

#[test]
fn arguments_that_are_missing() {
    let host = Host::new();
    host.deploy().ok();
    let before = host.dump();
    for (action, name) in ACTIONS {
        let said = host.run(action, &[], &Recorded::load(name).stdin);
        assert_ne!(said.code, Some(0), "{action}: {said:#?}");
        assert!(said.stderr.contains("required arguments"), "{action}: {said:#?}");
        host.is_as_after(&before, format_args!("{action} has changed the pool"));
    }
}

#[test]
fn each_script_is_here() {
    let links = Host::new().one_xcp(&["links"]).ok();
    let other = ["deploy", "poll", "update_conf", "exec_cancel"];
    for script in links.lines().filter_map(|link| link.strip_prefix("vmm/xcp/")) {
        let is_here = other.contains(&script) || ACTIONS.iter().any(|(action, _)| *action == script);
        assert!(is_here, "{script} has no bad input to try");
    }
}

#[test]
fn a_login_that_is_refused_and_a_pool_that_is_not_there() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    crate::common::sparse_file(&host.vm_folder(0, 1).join("disk.3"), 10 << 20, &[]);
    let before = host.dump();
    std::fs::write(host.path("password"), "root\nwrong\n").unwrap();
    let password_file = host.path("password").to_str().unwrap().to_owned();
    let host = host.set("XE_PASSWORD_FILE", &password_file).set("XE_SERVER", "xcp-a");
    for (action, name) in
        ACTIONS.into_iter().filter(|(action, _)| !["restore", "migrate_local"].contains(action))
    {
        let recorded = Recorded::load(name);
        let uuid_of_none = "11111111-2222-3333-4444-00000000aaaa";
        let args: Vec<String> =
            recorded.argv.iter().map(|arg| arg.replace("snapuuid-22196", uuid_of_none)).collect();
        let recorded = Recorded { argv: args, ..recorded };
        let said = run(&host, action, &recorded, &uuid, &recorded.stdin);
        refused(&host, &before, &said, action);
        let line = said.failure();
        assert!(
            line.contains("Authentication failed (SESSION_AUTHENTICATION_FAILED): correct the"),
            "{line}"
        );
    }
    let host = host.set("XE_SERVER", "192.0.2.1");
    let line = host.run("poll", &[&uuid, "xcp-a"], b"").failure();
    assert!(line.contains("Unable to contact server") && line.contains("port 443 can be reached"), "{line}");
}
