//! Replays recorded sessions with the real `xe` against the simulator and compares every answer.
//!
//! `tests/recorded/xe/*.jsonl` are the sessions; `*.seed` the pools they began with; `between.txt` holds
//! the commands that were run between two recorded ones without being recorded; `not-simulated.txt` lists
//! each command whose answer differs, with the reason. A listed command that begins to agree fails the
//! test as much as one that begins to differ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

mod compare;
mod json;
mod names;
mod replay;
mod transcript;

use replay::{Pool, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Transcripts recorded one after the other on the same pool.
const SESSIONS: [(&str, &[&str]); 4] = [
    (
        "tools",
        &[
            "01-install-create",
            "02-list-param-formats",
            "03-param-get-set",
            "05-lifecycle",
            "06-clone-copy-snapshot-migrate",
            "07-vbd-vdi",
            "10-cli-errors",
        ],
    ),
    ("life", &["life"]),
    ("hotplug", &["hotplug"]),
    ("errors", &["errors"]),
];

#[test]
fn the_simulator_answers_as_the_real_xe_did() {
    let listed = transcript::not_simulated();
    let between = transcript::between();
    let (mut exact, mut report) = (0, String::new());
    let mut counts = BTreeMap::new();
    for (seed, transcripts) in SESSIONS {
        let mut pool = Pool::start(seed);
        for &name in transcripts {
            for (index, command) in transcript::load(name).iter().enumerate() {
                let place = (name.to_owned(), index + 1);
                for step in between.get(&place).into_iter().flatten() {
                    pool.step(step);
                }
                let verdict = pool.replay(command);
                let count: &mut (usize, usize) = counts.entry(name).or_default();
                count.1 += 1;
                match (verdict, listed.get(&place)) {
                    (Verdict::Same, None) => {
                        exact += 1;
                        count.0 += 1;
                    }
                    (Verdict::Differs(_), Some(_)) => {}
                    (Verdict::Same, Some(reason)) => {
                        writeln!(report, "== {name} {} agrees but is listed: {reason}", index + 1).unwrap();
                    }
                    (Verdict::Differs(difference), None) => {
                        writeln!(report, "== {name} {} differs\n{difference}", index + 1).unwrap();
                    }
                }
            }
        }
    }
    let total: usize = counts.values().map(|&(_, total)| total).sum();
    println!("{exact} of {total} commands answered exactly, {} listed: {counts:?}", listed.len());
    assert!(report.is_empty(), "{report}");
}
