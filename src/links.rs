//! The links that make up the drivers below OpenNebula's `remotes`, and how a link's path names its action.

use crate::datastore;
use crate::report::Result;
use crate::tm;
use crate::vnm;
use anyhow::anyhow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The program's own name: called by it, it takes the action as its first argument.
pub const PROGRAM: &str = "one-xcp";

/// Scripts of `vmm/xcp` that do their work.
const ACTIONS: &[&str] = &[
    "attach_disk",
    "attach_nic",
    "cancel",
    "deploy",
    "detach_disk",
    "detach_nic",
    "exec",
    "exec_cancel",
    "migrate",
    "migrate_local",
    "poll",
    "prereconfigure",
    "reboot",
    "reconfigure",
    "reset",
    "resize",
    "resize_disk",
    "restore",
    "save",
    "shutdown",
    "snapshot_create",
    "snapshot_delete",
    "snapshot_revert",
    "update_conf",
];

/// Probes that print their text, as folder and name below `im/xcp-probes.d`.
pub const PROBES: [(&str, &str); 7] = [
    ("host/beacon", "xcp-beacon"),
    ("host/monitor", "xcp-monitor"),
    ("host/system", "xcp-system"),
    ("vm/execution", "xcp-execution"),
    ("vm/monitor", "xcp-monitor"),
    ("vm/snapshot", "xcp-snapshot"),
    ("vm/status", "xcp-status"),
];

/// What starts and stops the monitoring client; the name is the one OpenNebula looks for.
const MONITOR_CONTROL: &str = "im/xcp.d/monitord-client_control.sh";

/// All links, as paths below `remotes`.
pub fn all() -> Vec<String> {
    let actions = ACTIONS.iter().map(|name| format!("vmm/xcp/{name}"));
    let probes = PROBES.iter().map(|(folder, name)| format!("im/xcp-probes.d/{folder}/{name}"));
    let storage = datastore::SCRIPTS.iter().map(|name| format!("datastore/xcp/{name}"));
    let storage = storage.chain(tm::SCRIPTS.iter().map(|name| format!("tm/xcp/{name}")));
    let storage = storage.chain(vnm::SCRIPTS.iter().map(|name| format!("vnm/xcp/{name}")));
    actions.chain(probes).chain(storage).chain([MONITOR_CONTROL.to_owned()]).collect()
}

/// The parts that this program was built with, for `install.sh`.
pub fn features() -> Vec<&'static str> {
    let all = [("simulator", cfg!(feature = "simulator")), ("tls", cfg!(feature = "tls"))];
    all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

/// Turns `…/vmm/xcp/deploy 1 2` into `one-xcp --called-as …/vmm/xcp/deploy deploy 1 2`; other command lines
/// stay as they are.
///
/// `one-xcp link …/vmm/xcp/deploy 1 2` stands for the same: on hosts the links are copies of a small script
/// that calls the program so.
pub fn expand(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|word| word == "link") && args.len() > 2 {
        args.drain(..2);
    }
    let Some(called_as) = args.first().cloned() else { return args };
    let path = Path::new(&called_as);
    if path.file_name().is_none_or(|name| name == PROGRAM) {
        return args;
    }
    let mut line = vec![PROGRAM.into(), "--called-as".into(), called_as.clone()];
    line.extend(words(path));
    args.splice(..1, line);
    args
}

/// The link that an expanded command line came from, and the action it names, for errors before it is understood.
pub fn asked(args: &[OsString]) -> (PathBuf, String) {
    let mut words = args.iter().skip(1).peekable();
    let mut called_as = PathBuf::new();
    if words.next_if(|word| *word == "--called-as").is_some() {
        called_as = words.next().map(PathBuf::from).unwrap_or_default();
    }
    let name = words.find(|word| !word.as_encoded_bytes().starts_with(b"-"));
    (called_as, name.map_or(PROGRAM.into(), |name| name.to_string_lossy().into_owned()))
}

/// `…/vmm/xcp/deploy` → `deploy`; `…/tm/xcp/clone` → `tm clone`; `…/im/xcp-probes.d/host/system/xcp-system` →
/// `probe host/system`.
fn words(link: &Path) -> Vec<OsString> {
    let parts: Vec<&OsStr> = link.iter().rev().collect();
    let part = |index: usize| parts.get(index).and_then(|part| part.to_str()).unwrap_or_default();
    let name = parts.first().copied().unwrap_or_default().to_owned();
    match (part(1), part(2), part(3)) {
        (kind, of @ ("host" | "vm"), "xcp-probes.d") => vec!["probe".into(), format!("{of}/{kind}").into()],
        (_, family @ ("tm" | "datastore" | "vnm"), _) => vec![family.into(), name],
        _ => vec![name],
    }
}

/// The answer to a name that has no variant of its own in the command line.
pub fn not_an_action(words: &[OsString]) -> (String, Result<String>) {
    let name = words.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let error = anyhow!(
        "there is no action {:?}; there are {}",
        name.chars().take(60).collect::<String>(),
        ACTIONS.join(", ")
    );
    (PROGRAM.to_owned(), Err(error))
}

#[cfg(test)]
mod tests {
    use super::expand;
    use std::ffi::OsString;

    fn expanded(args: &[&str]) -> Vec<String> {
        let args = expand(args.iter().map(OsString::from));
        args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn a_link_names_its_action_and_its_folder_tells_clashing_names_apart() {
        assert_eq!(
            expanded(&["/r/vmm/xcp/deploy", "a"]),
            ["one-xcp", "--called-as", "/r/vmm/xcp/deploy", "deploy", "a"]
        );
        assert_eq!(expanded(&["/r/tm/xcp/clone"])[3..], ["tm", "clone"]);
        assert_eq!(expanded(&["/r/datastore/xcp/clone"])[3..], ["datastore", "clone"]);
        assert_eq!(expanded(&["/r/vnm/xcp/post", "u", "h"])[3..], ["vnm", "post", "u", "h"]);
        assert_eq!(
            expanded(&["/r/im/xcp-probes.d/host/system/xcp-system", "xcp"])[3..],
            ["probe", "host/system", "xcp"]
        );
        assert_eq!(expanded(&["one-xcp", "link", "vmm/xcp/poll", "u"])[3..], ["poll", "u"]);
    }

    #[test]
    fn what_was_asked_is_known_before_it_is_understood() {
        let asked = |args: &[&str]| super::asked(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(
            asked(&["one-xcp", "--called-as", "/r/tm/xcp/ln", "tm", "ln"]),
            ("/r/tm/xcp/ln".into(), "tm".into())
        );
        assert_eq!(asked(&["one-xcp", "-v", "poll"]), ("".into(), "poll".into()));
        assert_eq!(asked(&["one-xcp"]).1, "one-xcp");
    }

    #[test]
    fn by_hand_nothing_changes() {
        assert_eq!(expanded(&["/usr/bin/one-xcp", "poll", "u"]), ["/usr/bin/one-xcp", "poll", "u"]);
    }

    #[test]
    fn a_name_that_only_ends_in_an_action_is_not_one() {
        assert_eq!(expanded(&["/r/my-deploy"])[3..], ["my-deploy"]);
    }
}
