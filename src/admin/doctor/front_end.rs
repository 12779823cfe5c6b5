//! `doctor HOST` on a front-end whose drivers run on the hosts: whether oneadmin gets there, whether the host gets back,
//! and what the drivers there say.

use super::finding::Finding;
use super::ssh::{AGENT, BACK, NEEDED, remedy};
use crate::one::Conf;
use crate::process;
use crate::ssh;
use std::fs;
use std::time::Duration;

const SUBJECT: &str = "ssh";
const LIMIT: Duration = Duration::from_secs(30);
/// The doctor of the host asks XAPI, and may play a VM's whole life.
const DOCTOR_LIMIT: Duration = Duration::from_secs(1200);
/// Where OpenNebula copies the drivers to (SCRIPTS_REMOTE_DIR), if nobody says otherwise.
const PROGRAM: &str = "/var/tmp/one/vmm/xcp/one-xcp";

/// Whether `host` is another machine, which the drivers run on.
pub fn is_one(conf: &Conf, host: &str) -> bool {
    !host.is_empty()
        && ssh::check_host(host).is_ok()
        && conf.optional("XE_SERVER").is_none()
        && !ssh::is_here(host)
}

/// The way there and back.
pub fn check(host: &str) -> Vec<Finding> {
    if let Err(why) = ssh::reach(host) {
        let advice = remedy(host, &why, "as oneadmin here")
            .unwrap_or_else(|| format!("as oneadmin: ssh-copy-id root@{host}"));
        return vec![Finding::mend(SUBJECT, format!("cannot log in to {host}: {why}"), advice)];
    }
    let mut found = Vec::new();
    match ask(host, "id -u; command -v rsync") {
        Ok(answer) => found.extend(who(host, &answer)),
        Err(why) => found.push(Finding::mend(SUBJECT, why, "see what ssh runs there")),
    }
    found.push(back(host));
    found
}

/// Its answer: a user's number, and where rsync is.
fn who(host: &str, answer: &str) -> Vec<Finding> {
    let uid = answer.lines().next().unwrap_or_default();
    let mut found = vec![if uid == "0" {
        Finding::fine(SUBJECT, format!("{host} lets this user in as root"))
    } else {
        let text = format!("{host} lets this user in as user {uid}, and XAPI's socket is root's");
        Finding::mend(SUBJECT, text, format!("in ~/.ssh/config: Host {host}, User root"))
    }];
    if answer.lines().count() < 2 {
        found.push(Finding::note(
            SUBJECT,
            format!("{host} has no rsync"),
            "the drivers are copied by onehost sync --ssh",
        ));
    }
    found
}

/// Hosts copy disks from and to the front-end by ssh of their own.
fn back(host: &str) -> Finding {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = own.trim();
    match ask(host, &format!("{BACK} {} true", ssh::quoted(own))) {
        Ok(_) => Finding::fine(SUBJECT, format!("{host} reaches {own}, this front-end")),
        Err(why) => {
            let advice = remedy(own, &why, &format!("as root on {host}")).unwrap_or_else(|| {
                format!(
                    "Host {own} with User oneadmin in root's ~/.ssh/config there; and give root's key to oneadmin here, or \
                     {AGENT}"
                )
            });
            Finding::note(
                SUBJECT,
                format!("{host} does not reach {own}, this front-end: {why}"),
                format!("{NEEDED}: {advice}"),
            )
        }
    }
}

/// What the doctor on the host says, a line each, and whether the host is ready.
pub fn of_host(host: &str, options: &[&str]) -> (Vec<String>, Finding) {
    const SUBJECT: &str = "drivers";
    let words: Vec<String> = [options, &[host]].concat().into_iter().map(ssh::quoted).collect();
    let line = format!("[ -x {PROGRAM} ] || exit 44; exec {PROGRAM} doctor {}", words.join(" "));
    let said = match process::output(&mut ssh::command(host, &line), DOCTOR_LIMIT) {
        Ok(said) => said,
        Err(why) => {
            let advice = format!("try it there: {PROGRAM} doctor");
            return (Vec::new(), Finding::mend(SUBJECT, format!("{host}: {why:#}"), advice));
        }
    };
    if said.status.code() == Some(44) {
        let advice = "OpenNebula copies them there with onehost create, and with onehost sync --force";
        return (Vec::new(), Finding::note(SUBJECT, format!("{host} has no {PROGRAM}"), advice));
    }
    let lines = String::from_utf8_lossy(&said.stdout)
        .lines()
        .map(|line| line.chars().filter(|char| !char.is_control()).collect())
        .collect();
    let verdict = if said.status.success() {
        Finding::fine(SUBJECT, format!("{host} is ready, as its own doctor says"))
    } else {
        let why = ssh::complaint(&said.stderr);
        Finding::mend(SUBJECT, format!("{host}: {why}"), format!("see above; on the host: {PROGRAM} doctor"))
    };
    (lines, verdict)
}

/// A report holds the calls of `xe`, which are made on the host, and hides the names that its pool has.
pub fn report_is_made_there(host: &str) -> Finding {
    let advice = format!("ssh {host} {PROGRAM} doctor --try --report FILE");
    Finding::note("report", format!("it has only what was found here, not what {host} says"), advice)
}

fn ask(host: &str, line: &str) -> Result<String, String> {
    let said = process::output(&mut ssh::command(host, line), LIMIT).map_err(|why| format!("{why:#}"))?;
    let answer = String::from_utf8_lossy(&said.stdout).into_owned();
    // Without rsync the last command fails, and there is an answer.
    if said.status.success() || !answer.is_empty() { Ok(answer) } else { Err(ssh::complaint(&said.stderr)) }
}
