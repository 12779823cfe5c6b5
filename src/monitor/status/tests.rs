//! What is told of VMs as the pool shows them, round by round.

use super::*;

fn uuid(number: u32) -> Uuid {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn vm(vm_id: u32, state: impl Into<Option<State>>, host: Option<u32>) -> Status {
    let (deploy_id, state) = (uuid(vm_id), state.into());
    Status {
        vm_id,
        deploy_id,
        state,
        resident_on: host.map(uuid),
        migrates: false,
        console: None,
        writes_back: false,
    }
}

fn observe(memory: &mut Memory, seen: &[Status]) -> String {
    memory.observe(&uuid(100), seen, |_| false);
    memory.changes()
}

fn said(vm_id: u32, word: &str) -> String {
    format!("VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{}\", STATE=\"{word}\" ]\n", uuid(vm_id))
}

/// A client that has told that VM 1 runs.
fn running() -> Memory {
    let mut memory = Memory::default();
    let changes = observe(&mut memory, &[vm(1, State::Running, Some(100))]);
    assert_eq!(changes, said(1, "RUNNING"));
    memory.told();
    memory
}

#[test]
fn only_what_changed_is_told_until_it_has_arrived() {
    let mut memory = running();
    assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(100))]), "");
    let halted = [vm(1, State::Poweroff, None)];
    assert_eq!(observe(&mut memory, &halted), said(1, "POWEROFF"));
    assert_eq!(observe(&mut memory, &halted), said(1, "POWEROFF"));
    memory.told();
    assert_eq!(observe(&mut memory, &halted), "");
    assert_eq!(memory.all(), "SYNC_STATE=yes\nMISSING_STATE=POWEROFF\n");
}

#[test]
fn a_vm_on_its_way_keeps_its_state() {
    let mut memory = running();
    assert_eq!(observe(&mut memory, &[vm(1, None, None)]), "");
    memory.observe(&uuid(100), &[vm(1, State::Poweroff, None)], |_| true);
    assert_eq!(memory.changes(), "");
    assert!(memory.all().ends_with(&said(1, "RUNNING")));
}

#[test]
fn a_vm_that_runs_elsewhere_is_not_ours_to_tell() {
    let mut memory = running();
    for _ in 0..5 {
        assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(200))]), "");
    }
    assert!(!memory.all().contains("VM ="));
    assert_eq!(observe(&mut memory, &[vm(2, State::Poweroff, None)]), "", "never seen here");
}

#[test]
fn a_vm_that_is_being_moved_is_missed_nowhere() {
    let mut memory = running();
    let moving = Status { migrates: true, ..vm(1, State::Running, Some(200)) };
    for _ in 0..5 {
        assert_eq!(observe(&mut memory, std::slice::from_ref(&moving)), "");
        assert!(memory.all().ends_with(&said(1, "RUNNING")), "{}", memory.all());
    }
    assert_eq!(observe(&mut memory, &[Status { migrates: false, ..moving.clone() }]), "");
    assert!(!memory.all().contains("VM ="));
    let mut other_host = Memory::default();
    other_host.observe(&uuid(300), &[moving], |_| false);
    assert!(!other_host.all().contains("VM ="), "it never ran there");
}

#[test]
fn a_vm_that_left_the_pool_is_told_in_the_third_round_and_once() {
    let mut memory = running();
    assert_eq!(observe(&mut memory, &[]), "");
    assert_eq!(observe(&mut memory, &[]), "");
    assert_eq!(observe(&mut memory, &[]), said(1, "POWEROFF"));
    assert_eq!(observe(&mut memory, &[]), said(1, "POWEROFF"), "not taken yet");
    memory.told();
    assert_eq!(observe(&mut memory, &[]), "");
    assert_eq!(memory.save(), "");
}

#[test]
fn a_vm_that_an_action_took_out_of_the_pool_is_not_told() {
    let mut memory = running();
    memory.observe(&uuid(100), &[], |_| true);
    for _ in 0..5 {
        assert_eq!(observe(&mut memory, &[]), "");
    }
}

#[test]
fn the_next_client_knows_what_was_told() {
    let mut memory = Memory::load(&running().save());
    assert_eq!(observe(&mut memory, &[vm(1, State::Running, Some(100))]), "");
    assert_eq!(observe(&mut memory, &[vm(1, State::Suspended, None)]), said(1, "SUSPENDED"));
    assert_eq!(Memory::load("1 x RUNNING\n\0\n7").save(), "");
}

#[test]
fn a_leftover_of_the_same_number_is_not_the_vm() {
    let mut memory = running();
    let leftover = Status { deploy_id: uuid(9), ..vm(1, State::Poweroff, None) };
    let both = [vm(1, State::Running, Some(100)), leftover.clone()];
    assert_eq!(observe(&mut memory, &both), "");
    assert_eq!(observe(&mut memory, &[leftover.clone(), vm(1, State::Poweroff, None)]), said(1, "POWEROFF"));
    memory.told();
    for _ in 0..3 {
        assert_eq!(observe(&mut memory, std::slice::from_ref(&leftover)), "");
    }
}
