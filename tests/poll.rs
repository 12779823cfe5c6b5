//! `poll`, by link and by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Host;

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
