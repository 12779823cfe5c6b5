//! The directions in which the parts may know each other, and the shape of the sources.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each part, and the parts it may name. What is not listed may not be named.
const MAY_NAME: [(&str, &[&str]); 30] = [
    (
        "cli",
        &["action", "admin", "datastore", "links", "monitor", "one", "probe", "report", "tm", "vnm", "xe"],
    ),
    ("links", &["datastore", "report", "tm", "vnm"]),
    ("vnm", &["action", "file_lock", "one", "parallel", "process", "report", "state_dir", "translate", "xe"]),
    (
        "tm",
        &[
            "action",
            "datastore",
            "image",
            "one",
            "parallel",
            "process",
            "report",
            "ssh",
            "storage",
            "translate",
            "undo",
            "xe",
        ],
    ),
    ("datastore", &["action", "image", "one", "process", "report", "storage", "translate", "undo", "xe"]),
    (
        "storage",
        &["image", "one", "process", "producer", "report", "signal", "ssh", "translate", "undo", "xe"],
    ),
    ("producer", &["report", "signal"]),
    ("ssh", &["report", "state_dir"]),
    ("lock", &["file_lock", "report", "signal", "state_dir"]),
    ("file_lock", &["report", "state_dir"]),
    ("state_dir", &["report"]),
    (
        "action",
        &[
            "console",
            "image",
            "lock",
            "one",
            "parallel",
            "report",
            "retry",
            "signal",
            "state_dir",
            "storage",
            "translate",
            "undo",
            "xapi",
            "xe",
        ],
    ),
    (
        "monitor",
        &[
            "action",
            "console",
            "file_lock",
            "links",
            "one",
            "parallel",
            "pid_file",
            "probe",
            "process",
            "qemu_img",
            "report",
            "signal",
            "state_dir",
            "translate",
            "vnm",
            "xapi",
            "xe",
        ],
    ),
    (
        "probe",
        &["action", "console", "links", "one", "parallel", "process", "report", "translate", "xapi", "xe"],
    ),
    (
        "admin",
        &[
            "action",
            "image",
            "links",
            "lock",
            "one",
            "parallel",
            "probe",
            "process",
            "qemu_img",
            "report",
            "signal",
            "ssh",
            "state_dir",
            "storage",
            "translate",
            "vnm",
            "xe",
        ],
    ),
    ("translate", &["one", "report", "xe"]),
    ("one", &["report", "state_dir"]),
    ("image", &["report"]),
    ("qemu_img", &["image", "links", "one", "report"]),
    ("undo", &["lock", "report", "xe"]),
    ("xapi", &["report"]),
    ("console", &["file_lock", "one", "pid_file", "report", "state_dir", "xapi", "xe"]),
    ("pid_file", &["file_lock", "report", "state_dir"]),
    ("xe", &["file_lock", "parallel", "process", "report", "retry", "signal", "ssh", "state_dir", "xapi"]),
    ("process", &["report"]),
    ("report", &[]),
    ("signal", &["report"]),
    ("retry", &["report"]),
    ("parallel", &[]),
    ("sim", &[]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn part_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

#[test]
fn dependencies_point_one_way() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let part = part_of(&file);
        if ["lib", "main"].contains(&part.as_str()) {
            continue;
        }
        let (_, may_name) =
            MAY_NAME.iter().find(|(name, _)| *name == part).unwrap_or_else(|| panic!("{part} is not listed"));
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("crate::").skip(1) {
            let named: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let fine = named.is_empty() || named == part || may_name.contains(&named.as_str());
            assert!(fine, "{} names {named}, which {part} may not know", file.display());
        }
    }
}

#[test]
fn opennebula_and_xapi_do_not_know_each_other() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/one")) {
        assert!(!fs::read_to_string(&file).unwrap().contains("crate::xe"), "{}", file.display());
    }
}

#[test]
fn only_the_report_and_the_simulator_write_to_the_terminal() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let part = part_of(&file);
        let text = fs::read_to_string(&file).unwrap();
        let writes = text.contains("stdout()") || text.contains("stderr()");
        assert!(!writes || ["report", "sim"].contains(&part.as_str()), "{}", file.display());
    }
}
