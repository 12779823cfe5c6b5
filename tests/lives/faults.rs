//! What goes wrong with the calls of `xe` that a step makes.

use crate::common::Host;
use crate::model::Operation;
use crate::random::Random;

/// One fault, as `one-xcp sim` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Vec<String>);

impl Fault {
    pub fn set(&self, host: &Host) {
        let words: Vec<&str> = self.0.iter().map(String::as_str).collect();
        host.sim(&words);
    }

    /// As it is typed.
    pub fn line(&self) -> String {
        self.0.join(" ")
    }
}

/// The calls that an operation's scripts make, and those by which they take back what they did.
fn verbs(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Deploy => &[
            "vm-list",
            "vbd-list",
            "vdi-list",
            "host-list",
            "vm-install",
            "vm-param-set",
            "vm-memory-limits-set",
            "vdi-create",
            "vdi-import",
            "vdi-resize",
            "vdi-destroy",
            "vbd-create",
            "vbd-param-set",
            "vif-create",
            "vm-start",
            "vm-destroy",
        ],
        Operation::PowerOff { .. } | Operation::Terminate { .. } | Operation::Delete => &[
            "vm-list",
            "vbd-list",
            "vm-shutdown",
            "vdi-export",
            "vm-uninstall",
            "vdi-destroy",
            "vm-destroy",
            "vm-resume",
        ],
        Operation::Suspend => &[
            "vm-list",
            "vm-suspend",
            "vbd-list",
            "vdi-snapshot",
            "vdi-param-set",
            "vdi-export",
            "vdi-destroy",
            "vm-resume",
        ],
        Operation::Attach => &[
            "vm-list",
            "vbd-list",
            "pbd-list",
            "pool-list",
            "vdi-create",
            "vdi-import",
            "vbd-create",
            "vbd-param-set",
            "vbd-plug",
            "vbd-destroy",
            "vdi-destroy",
        ],
        Operation::Detach => &[
            "vm-list",
            "vbd-list",
            "vbd-unplug",
            "vbd-param-set",
            "vdi-export",
            "vbd-destroy",
            "vdi-destroy",
            "vbd-plug",
        ],
        Operation::Migrate => &["vm-list", "host-list", "vm-migrate"],
        Operation::Snapshot => &[
            "vm-list",
            "vm-snapshot",
            "vm-checkpoint",
            "snapshot-list",
            "vm-param-set",
            "snapshot-uninstall",
        ],
        Operation::Revert => {
            &["vm-list", "snapshot-list", "snapshot-revert", "vm-start", "vm-resume", "vm-param-set"]
        }
        Operation::SnapshotDelete => &["vm-list", "snapshot-list", "vbd-list", "snapshot-uninstall"],
        Operation::Monitor => &["vm-list", "vbd-list", "vdi-list", "vdi-export", "vbd-param-set"],
        Operation::Resume => &["vm-list", "host-list", "vm-resume"],
        _ => &["vm-list", "vm-reboot"],
    }
}

/// XAPI refuses, fails within, or its storage does. None of them is asked again.
const CODES: [&str; 3] = ["INTERNAL_ERROR", "SR_BACKEND_FAILURE_46", "HOST_OFFLINE"];

/// Faults for one step: none, one, or several, so that taking back fails too.
pub fn random(operation: Operation, random: &mut Random) -> Vec<Fault> {
    let count = random.weighted(&[(35, 0), (40, 1), (18, 2), (7, 3)]);
    (0..count).map(|_| one(operation, random)).collect()
}

fn one(operation: Operation, random: &mut Random) -> Fault {
    let calls = if operation == Operation::Deploy { 24 } else { 9 };
    let (verb, nth) = if random.percent(30) {
        ("any", 1 + random.below(calls))
    } else {
        (random.pick(verbs(operation)), 1 + random.weighted(&[(7, 0), (2, 1), (1, 2)]))
    };
    let (verb, nth) = (verb.to_owned(), nth.to_string());
    let code = random.pick(&CODES);
    let times = (1 + random.below(8)).to_string();
    let answer = random.pick(&["empty", "short", "cut", "junk"]);
    // A list is what is decided on: answers that cannot be true are worse there than none.
    let lists = if verb.ends_with("-list") { 16 } else { 4 };
    let words: Vec<&str> = match random.weighted(&[(4, 0), (3, 1), (2, 2), (lists, 3), (2, 4), (2, 5)]) {
        0 => vec!["fail", &verb, "--nth", &nth, "--code", code],
        1 => vec!["fail", &verb, "--nth", &nth, "--code", code, "--after"],
        // The toolstack restarts: what the action has begun it cannot take back either.
        2 => vec!["fail", &verb, "--nth", &nth, "--code", code, "--times", &times],
        3 => vec!["fail", &verb, "--nth", &nth, "--answer", answer],
        4 => vec!["kill", &verb, "--nth", &nth],
        _ => vec!["kill", &verb, "--nth", &nth, "--after"],
    };
    Fault(words.into_iter().map(str::to_owned).collect())
}
