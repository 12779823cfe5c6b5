//! What goes with a bug report: versions, settings, what the doctor found, a trial's steps and calls. Secrets and names
//! are left out.

use super::super::finding::Finding;
use super::Step;
use crate::action::Caller;
use crate::one::{Conf, Release, conf};
use crate::report::Result;
use crate::xe::{Record, Uuid, Xe};
use anyhow::Context;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Settings whose values name machines or what logs in to them.
const HIDDEN_SETTINGS: [&str; 3] = ["XE_SERVER", "XE_BRIDGE", "XAPI_FINGERPRINT"];
const HIDDEN: &str = "(hidden)";

/// Writes the report to a new file that only its owner can read.
pub fn write(path: &Path, caller: &Caller, conf: &Conf, found: &[Finding], steps: &[Step]) -> Result<()> {
    let text = names_of_pool(caller, conf).hide(&text(caller, conf, found, steps));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn text(caller: &Caller, conf: &Conf, found: &[Finding], steps: &[Step]) -> String {
    let mut lines = vec![
        "# one-xcp doctor".to_owned(),
        format!("one-xcp {}", env!("CARGO_PKG_VERSION")),
        format!("OpenNebula {}", Release::text_beside(&caller.called_as).unwrap_or("unknown".to_owned())),
        format!("kernel {}", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim()),
        String::new(),
        "## Settings".to_owned(),
    ];
    lines.extend(conf::NAMES.iter().filter_map(|name| {
        let value = if HIDDEN_SETTINGS.contains(name) { HIDDEN } else { conf.given(name)? };
        conf.given(name).map(|_| format!("{name}={value}"))
    }));
    lines.extend([String::new(), "## Found".to_owned()]);
    lines.extend(found.iter().map(Finding::line));
    if !steps.is_empty() {
        lines.extend([String::new(), "## Tried".to_owned()]);
    }
    for step in steps {
        lines.push(step.line());
        lines.extend(step.calls.iter().map(|call| format!("      {call}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Names that are somebody's own, each with what stands for it.
struct Names(Vec<(String, String)>);

/// Hosts, SRs, networks and VMs of the pool, and this machine.
fn names_of_pool(caller: &Caller, conf: &Conf) -> Names {
    let mut names = Vec::new();
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    names.push((own, "this-machine".to_owned()));
    if let Ok(xe) = caller.xe(conf, "") {
        for (class, fields) in [
            ("host", &["uuid", "name-label", "hostname", "address"][..]),
            ("sr", &["uuid", "name-label"]),
            ("network", &["uuid", "name-label"]),
        ] {
            names.extend(of_class(&xe, class, fields));
        }
    }
    // The longest first: a name may be part of another.
    names.retain(|(name, _)| !name.is_empty());
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    Names(names)
}

fn of_class(xe: &Xe, class: &'static str, fields: &[&'static str]) -> Vec<(String, String)> {
    let read = |record: &Record<'_>| {
        let names = fields.iter().skip(1).map(|field| record.text(field).to_owned());
        Ok((record.get::<Uuid>("uuid")?, names.collect::<Vec<_>>()))
    };
    let mut objects = xe.list(class, fields, &[], read).unwrap_or_default();
    objects.sort_by_key(|(uuid, _)| uuid.to_string());
    let numbered = objects.into_iter().enumerate();
    numbered
        .flat_map(|(number, (_, names))| {
            names.into_iter().map(move |name| (name, format!("{class}-{number}")))
        })
        .collect()
}

impl Names {
    /// The text with each name replaced where it stands as a word of its own, and without addresses.
    fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for (name, stand_in) in &self.0 {
            hidden = replace_words(&hidden, name, stand_in);
        }
        hidden
    }
}

fn replace_words(text: &str, name: &str, stand_in: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut result = String::new();
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some((start, end)) = rest.split_once(name) {
        before = start.chars().next_back().or(before);
        result.push_str(start);
        let is_whole = !is_word(before) && !is_word(end.chars().next());
        result.push_str(if is_whole { stand_in } else { name });
        before = name.chars().next_back();
        rest = end;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::{Names, replace_words};

    #[test]
    fn names_are_replaced_where_they_are_words() {
        assert_eq!(
            replace_words("db on db-2 (db), sdb db", "db", "host-0"),
            "host-0 on host-0-2 (host-0), sdb host-0"
        );
        assert_eq!(replace_words("", "a", "b"), "");
    }

    #[test]
    fn longer_names_come_first() {
        let names = Names(vec![("My NFS".into(), "sr-0".into()), ("NFS".into(), "sr-1".into())]);
        assert_eq!(names.hide("My NFS, NFS"), "sr-0, sr-1");
    }
}
