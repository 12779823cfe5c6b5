//! `poll`, by link and by hand.
use crate::common::{Host, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_one_line_form_takes_one_call() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.forget_calls();
    let line = host.run("poll", &[&uuid, "xcp-a"], b"").ok();
    assert_eq!(line, "STATE=a MEMORY=524288");
    assert_eq!(host.calls().len(), 1, "{:?}", host.calls());
}

#[test]
fn counters_take_a_second_call() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    host.forget_calls();
    let line = host.run("poll", &[&uuid, "xcp-a", "--counters"], b"").ok();
    assert!(line.starts_with("STATE=a MEMORY=524288 CPU="), "{line}");
    assert_eq!(host.calls().len(), 2, "{:?}", host.calls());
}

#[test]
fn what_monitoring_has_counted_costs_no_call() {
    let host = Host::new();
    let xapi = host.serve("xcp-a");
    let host = host.set("XAPI_SOCKET", xapi.socket.to_str().unwrap());
    let uuid = host.deploy().ok();
    fs::write(host.path("remotes/VERSION"), "5.10.5\n").unwrap();
    let control = host.path("remotes/im/xcp.d/monitord-client_control.sh");
    let words = ["xcp", "/var/lib/one/datastores", "4124", "20", "3", "xcp-a"];
    let round = said(host.command(control).args(words), b"").ok();
    let counted = round
        .split_once(&format!("{uuid}, POLL="))
        .unwrap()
        .1
        .split_once(" NETRX=")
        .unwrap()
        .1
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    host.forget_calls();
    let line = host.run("poll", &[&uuid, "xcp-a"], b"").ok();
    assert!(line.starts_with(&format!("STATE=a MEMORY=524288 NETRX={counted} NETTX=")), "{line}");
    assert!(line.contains(" DISKRDBYTES="), "{line}");
    assert_eq!(host.calls().len(), 1, "{:?}", host.calls());
    let json = host.one_xcp(&["poll", &uuid, "--json"]).ok();
    assert!(json.contains(&format!(r#""cpu_percent":null,"netrx":{counted},"#)), "{json}");
    fs::write(host.path("remotes/VERSION"), "4.12.3\n").unwrap();
    let line = host.run("poll", &[&uuid, "xcp-a"], b"").ok();
    assert!(line.contains(&format!(" NETRX={counted} NETTX=")) && !line.contains("DISKRDBYTES"), "{line}");
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    assert_eq!(host.run("poll", &[&uuid, "xcp-a"], b"").ok(), "STATE=d");
}

#[test]
fn states_are_opennebulas_letters() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let state = |expected: &str| assert_eq!(host.run("poll", &[&uuid, "xcp-a"], b"").ok(), expected);
    host.xe(&["vm-pause", &format!("uuid={uuid}")]);
    state("STATE=p");
    host.xe(&["vm-unpause", &format!("uuid={uuid}")]);
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    state("STATE=p");
    host.xe(&["vm-resume", &format!("uuid={uuid}")]);
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    state("STATE=d");
    let gone = host.run("poll", &["11111111-2222-3333-4444-000000000001", "xcp-a"], b"").ok();
    assert_eq!(gone, "STATE=d");
}

#[test]
fn by_hand_there_are_a_table_and_json() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let table = host.one_xcp(&["poll", &uuid, "--table"]).ok();
    assert!(table.contains(&format!("DEPLOY_ID    {uuid}\nSTATE        a (running)\n")), "{table}");
    let json = host.one_xcp(&["poll", &uuid, "--json"]).ok();
    let start = format!(r#"{{"deploy_id":"{uuid}","state":"a","power_state":"running","resident_on":"#);
    assert!(
        json.starts_with(&start) && json.ends_with(r#""memory_kib":524288,"cpu_percent":null}"#),
        "{json}"
    );
}

#[test]
fn its_own_memory_stays_small() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    // The second call comes when the first's answer has been read; then its parent's memory is
    // noted, without the program's own pages, of which an unoptimized build has more.
    let script = host.path("xe");
    let text = format!(
        "#!/bin/sh\ngrep RssAnon /proc/$PPID/status >>memory\nexec {} \"$@\"\n",
        host.path("bin/xe").display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let host = host.set("XE", "./xe");
    host.run("poll", &[&uuid, "xcp-a", "--counters"], b"").ok();
    let noted = fs::read_to_string(host.path("memory")).unwrap();
    let kib: Vec<u64> =
        noted.lines().map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert!(kib.len() == 2 && kib[1] < 2 << 10, "KiB at each call: {kib:?}");
}

#[test]
fn opennebula_before_4_14_reads_other_names() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    fs::write(host.path("remotes/VERSION"), "4.12.3\n").unwrap();
    assert_eq!(host.run("poll", &[&uuid, "xcp-a"], b"").ok(), "STATE=a USEDMEMORY=524288");
}
