//! The drivers' scripts below OpenNebula's remotes: are all of them there, and of this release.

use super::finding::Finding;
use super::some;
use crate::links::{self, PROGRAM};
use crate::one::Release;
use crate::process;
use rustix::fs::{Access, access};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SUBJECT: &str = "remotes";
const LIMIT: Duration = Duration::from_secs(10);
/// On the front-end, and on a host.
const USUAL: [&str; 2] = ["/var/lib/one/remotes", "/var/tmp/one"];

pub fn check(called_as: &Path, named: Option<&Path>) -> Vec<Finding> {
    let roots = match named {
        Some(folder) => vec![folder.to_owned()],
        None => roots(called_as),
    };
    if roots.is_empty() {
        let text = "this program stands in no remotes";
        return vec![Finding::note(SUBJECT, text, "name them: one-xcp doctor --remotes DIR")];
    }
    roots.iter().flat_map(|root| check_one(root)).collect()
}

fn roots(called_as: &Path) -> Vec<PathBuf> {
    let around = called_as.ancestors().map(Path::to_owned);
    let mut roots: Vec<PathBuf> =
        around.chain(USUAL.map(PathBuf::from)).filter(|folder| folder.join("vmm/xcp").is_dir()).collect();
    let mut seen = Vec::new();
    roots.retain(|root| {
        let real = root.canonicalize().unwrap_or_default();
        let is_new = !seen.contains(&real);
        seen.push(real);
        is_new
    });
    roots
}

fn check_one(root: &Path) -> Vec<Finding> {
    let (mut missing, mut not_executable) = (Vec::new(), Vec::new());
    for link in links::all() {
        let path = root.join(&link);
        if !path.is_file() {
            missing.push(link);
        } else if access(path.as_path(), Access::EXEC_OK).is_err() {
            not_executable.push(link);
        }
    }
    let shown = root.display();
    let again = "on the front-end run install.sh again, then onehost sync --force";
    let mut found = Vec::new();
    if !missing.is_empty() {
        found.push(Finding::mend(SUBJECT, format!("{shown} lacks {}", some(&missing)), again));
    }
    if !not_executable.is_empty() {
        let text = format!("in {shown} cannot be executed: {}", some(&not_executable));
        found.push(Finding::mend(SUBJECT, text, again));
    }
    found.extend(release(root));
    if found.is_empty() {
        let opennebula = Release::text_beside(&root.join("vmm"));
        let of = opennebula.map_or(String::new(), |version| format!(" of OpenNebula {version}"));
        found.push(Finding::fine(SUBJECT, format!("{shown}{of} has all {} scripts", links::all().len())));
    }
    found
}

/// An upgrade that has not reached this host, or the reverse.
fn release(root: &Path) -> Option<Finding> {
    let program = root.join("vmm/xcp").join(PROGRAM);
    if !program.exists() {
        // The scripts may be links to a program elsewhere.
        let script = root.join("vmm/xcp/deploy").canonicalize().ok()?;
        let is_stub = script.extension().is_some_and(|ending| ending == "sh") || script.starts_with(root);
        let text = format!("there is no {}", program.display());
        return is_stub.then(|| Finding::mend(SUBJECT, text, "every script needs it: onehost sync --force"));
    }
    let said = match process::output(Command::new(&program).arg("--version"), LIMIT) {
        Ok(said) => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        Err(why) => {
            let advice = "it may be built for another system: see docs/install.md, Building for the hosts";
            return Some(Finding::mend(SUBJECT, format!("{why:#}"), advice));
        }
    };
    let ours = format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
    (said != ours).then(|| {
        let text = format!("{} is {said:?}, this program {ours:?}", program.display());
        Finding::note(SUBJECT, text, "onehost sync --force brings hosts to the front-end's release")
    })
}
