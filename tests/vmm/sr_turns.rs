//! XAPI changes one VDI of an SR at a time, and lets whoever comes second sleep for seconds.
use crate::common::{Host, XeCall};
use std::thread;

/// A pool in which making and destroying VDIs takes long enough to meet.
fn slow_host() -> Host {
    let host = Host::new();
    for verb in ["vdi-create", "vdi-destroy", "vm-uninstall"] {
        host.sim(&["delay", verb, "60"]);
    }
    // Longer than making the next VDI takes on a busy machine.
    host.sim(&["delay", "vdi-import", "1000"]);
    host
}

fn overlap(calls: &[XeCall], verb: &str) -> bool {
    let of_verb: Vec<&XeCall> = calls.iter().filter(|call| call.line.starts_with(verb)).collect();
    assert!(of_verb.len() > 1, "{calls:#?}");
    of_verb.windows(2).any(|pair| pair[1].start_ms < pair[0].end_ms)
}

#[test]
fn the_simulated_sr_does_one_thing_at_a_time() {
    let host = slow_host();
    let sr = format!("sr-uuid={}", host.xe(&["sr-list", "name-label=Shared NFS", "--minimal"]));
    let make = || host.xe(&["vdi-create", &sr, "name-label=a", "virtual-size=1MiB"]);
    thread::scope(|scope| {
        let first = scope.spawn(make);
        make();
        first.join().unwrap();
    });
    assert!(host.sim(&["sleeps"]).starts_with("vdi-create "), "nobody slept");
    assert_eq!(host.xe(&["vdi-list", "name-label=a", "--minimal"]).split(',').count(), 2);
}

#[test]
fn deploy_makes_disks_one_after_the_other_and_fills_them_side_by_side() {
    let host = slow_host();
    host.forget_calls();
    host.deploy().ok();
    let calls = host.calls();
    assert!(!overlap(&calls, "vdi-create") && overlap(&calls, "vdi-import"), "{calls:#?}");
    assert_eq!(host.sim(&["sleeps"]), "");
}

#[test]
fn an_undo_waits_for_its_turn_too() {
    let host = slow_host();
    let before = host.dump();
    host.sim(&["fail", "vm-start", "--code", "NO_HOSTS_AVAILABLE"]);
    host.deploy().failure();
    host.is_as(&before);
    assert_eq!(host.sim(&["sleeps"]), "");
}

#[test]
fn where_no_lock_can_be_had_only_time_is_lost() {
    let host = slow_host().set("STATE_DIR", "/nonexistent/state");
    host.deploy().ok();
}
