//! The links that make up the drivers below OpenNebula's `remotes`, and how a link's path names its action.

use crate::datastore;
use crate::report::Result;
use crate::tm;
use anyhow::anyhow;
use std::ffi::{OsStr, OsString};
use std::path::Path;

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
    actions.chain(probes).chain(storage).chain([MONITOR_CONTROL.to_owned()]).collect()
}

/// The parts that this program was built with, for `install.sh`.
pub fn features() -> Vec<&'static str> {
    let all = [("simulator", cfg!(feature = "simulator")), ("tls", cfg!(feature = "tls"))];
    all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

/// `…/vmm/xcp/deploy` → `deploy`; `…/tm/xcp/clone` → `tm clone`; `…/im/xcp-probes.d/host/system/xcp-system` →
/// `probe host/system`.
pub fn words(link: &Path) -> Vec<OsString> {
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
