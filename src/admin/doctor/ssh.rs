//! Whether this host gets to the pool's other hosts by ssh, as copies between them do.

use super::finding::Finding;
use super::hosts::Member;
use crate::parallel;
use crate::process;
use crate::ssh;
use std::process::Command;
use std::time::Duration;

const SUBJECT: &str = "ssh";
const LIMIT: Duration = Duration::from_secs(15);
/// A login that asks for nothing and does not wait long.
pub const BACK: &str = "ssh -o BatchMode=yes -o ConnectTimeout=5";
/// What needs it.
pub const NEEDED: &str = "file datastores of ssh and local need it for migration, stop and undeploy";
/// How a key gets there.
pub const AGENT: &str = "let oneadmin's agent be forwarded (ForwardAgent yes in its ~/.ssh/config, and opennebula-ssh-agent running)";

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
        Ok(said) => cannot(name, &ssh::complaint(&said.stderr)),
        Err(why) => cannot(name, &format!("{why:#}")),
    }
}

fn cannot(name: &str, why: &str) -> Finding {
    let advice = remedy(name, why, "as root here")
        .unwrap_or_else(|| format!("give root's key of each host to the others, or {AGENT}"));
    Finding::note(SUBJECT, format!("this host does not reach {name}: {why}"), format!("{NEEDED}: {advice}"))
}

/// What to do about a login to `name` that ssh did not even try, by what it says of it (OpenSSH `ssh.c`,
/// `sshconnect.c`); none where a key is missing. `who` has to do it.
pub fn remedy(name: &str, why: &str, who: &str) -> Option<String> {
    if why.contains("Host key verification failed") {
        return Some(format!("{who}: ssh-keyscan {name} >>~/.ssh/known_hosts"));
    }
    if why.contains("Could not resolve hostname") {
        return Some(format!("{who}: put {name} into /etc/hosts, or give it a HostName in ~/.ssh/config"));
    }
    let is_down = ["No route to host", "Connection refused", "Connection timed out", "no answer within"];
    is_down.iter().any(|text| why.contains(text)).then(|| format!("see whether {name} is up and takes ssh"))
}
