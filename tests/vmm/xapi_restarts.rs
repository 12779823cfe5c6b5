//! XAPI's toolstack restarts while an action is at work: that takes longer than a busy moment.
use crate::common::{Host, Said};
use std::thread;

/// More than the tries that a busy moment gets.
const REFUSED: &str = "5";

const SAID: &str = "XAPI does not answer any more: waiting up to 60 s for it to come back";

/// How often it was said that XAPI is away.
fn waits(said: &Said) -> usize {
    said.log().iter().filter(|line| line.contains(SAID)).count()
}

#[test]
fn a_deployment_that_fails_by_it_leaves_the_pool_as_it_was_or_goes_on() {
    let steps = [
        ("vm-install", ""),
        ("vdi-create", "--after"),
        ("vdi-import", ""),
        ("vm-start", ""),
        ("vm-start", "--after"),
    ];
    thread::scope(|scope| {
        for (verb, after) in steps {
            scope.spawn(move || {
                let host = Host::new();
                let before = host.dump();
                let fault = ["restart", verb, "--refused", REFUSED, after];
                host.sim(&fault.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>());
                let said = host.deploy();
                // Disks are made side by side: calls that are refused at once share the refusals.
                let is_alone = verb.starts_with("vm-");
                assert!(waits(&said) == 1 || !is_alone && waits(&said) == 0, "{verb}: {said:?}");
                if said.code == Some(0) {
                    assert_eq!((verb, after), ("vm-start", "--after"), "the state decides: {said:?}");
                } else {
                    host.is_as(&before);
                }
            });
        }
    });
}

#[test]
fn what_the_guest_wrote_is_written_back_or_stays() {
    let host = Host::new();
    let before = host.dump();
    let uuid = host.deploy().ok();
    host.sim(&["restart", "vm-uninstall", "--after", "--refused", REFUSED]);
    let said = host.on_vm("shutdown", "shutdown.3", &uuid);
    assert_eq!(waits(&said), 1, "{said:?}");
    if said.code != Some(0) {
        host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    }
    host.is_as(&before);
}

#[test]
fn an_xapi_that_never_answered_is_not_waited_for() {
    let host = Host::new();
    host.sim(&["restart", "any", "--refused", "100"]);
    let said = host.run("poll", &["c761c8de-6e8f-4043-b385-bc10ac6c1984", "xcp-a"], b"");
    assert!(said.failure().contains("see whether XAPI runs on the host"));
    assert!(host.calls().len() < 10, "{:#?}", host.calls());
}
