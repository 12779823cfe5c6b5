//! `one-xcp demo`, the first thing that a newcomer runs.
use crate::common::{PROGRAM, said};
use std::process::Command;

#[test]
fn a_whole_life_is_shown_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM);
    let shown = said(demo.arg("demo").env("TMPDIR", dir.path()).env("HOME", "/nonexistent"), b"").ok();
    for line in
        ["HYPERVISOR=\"xcp\"", "STATE=a MEMORY=524288", "FREECPU=780", "no VM, no snapshot, no disk of it"]
    {
        assert!(shown.lines().any(|given| given == line), "{line} is not in\n{shown}");
    }
    assert!(
        [
            "23 calls of xe:",
            "1 call of xe:",
            "xe vbd-plug uuid=",
            "xe snapshot-revert ",
            "xe vm-migrate uuid="
        ]
        .iter()
        .all(|part| shown.contains(part)),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "colour off a terminal: {shown}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the demo left something");
}

#[test]
fn what_is_kept_can_be_played_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM);
    let shown = said(demo.args(["demo", "--keep"]).env("TMPDIR", dir.path()), b"").ok();
    let (_, commands) = shown.split_once("To go on with it:\n").unwrap();
    let script = commands.replace('\n', " || exit 1\n");
    let played = said(Command::new("sh").args(["-c", &script]), b"").ok();
    assert!(played.contains("name-label ( RW): Mail server"), "{played}");
}
