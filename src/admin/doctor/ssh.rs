//! Whether this host gets to the pool's other hosts by ssh, as copies between them do.

use super::finding::Finding;
use super::hosts::Member;
use crate::parallel;
use crate::process;
use crate::report::one_line;
use crate::ssh;
use std::process::Command;
use std::time::Duration;

const SUBJECT: &str = "ssh";
const LIMIT: Duration = Duration::from_secs(15);
/// A login that asks for nothing and does not wait long.
pub const BACK: &str = "ssh -o BatchMode=yes -o ConnectTimeout=5";
/// What needs it, and what helps.
pub const THERE: &str = "file datastores of ssh and local need it for migration, stop and undeploy: give root's key of each \
                         host to the others, or let oneadmin's agent be forwarded (ForwardAgent yes in its ~/.ssh/config, and \
                         opennebula-ssh-agent running)";

/// Logs in to each other host of the pool by the name that XAPI has for it.
pub fn check(members: &[Member]) -> Vec<Finding> {
    let others: Vec<&str> = members
        .iter()
        .map(|member| member.host.hostname.as_str())
        .filter(|name| !name.is_empty() && ssh::check_host(name).is_ok() && !ssh::is_here(name))
        .collect();
    parallel::map(&others, |name| reach(name))
}

fn reach(name: &str) -> Finding {
    let words = BACK.split(' ').skip(1);
    match process::output(Command::new("ssh").args(words).args([name, "true"]), LIMIT) {
        Ok(said) if said.status.success() => Finding::fine(SUBJECT, format!("this host reaches {name}")),
        Ok(said) => cannot(name, &first_line(&said.stderr)),
        Err(why) => cannot(name, &format!("{why:#}")),
    }
}

fn cannot(name: &str, why: &str) -> Finding {
    Finding::note(SUBJECT, format!("this host does not reach {name}: {why}"), THERE)
}

/// The first line of what a program complains of.
pub fn first_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    one_line(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing"))
}
