//! Whether XAPI lets us in, and what state the pool's hosts are in.

use super::finding::Finding;
use crate::one::Conf;
use crate::probe::unix_time;
use crate::report::Result;
use crate::xe::host::{self, Host};
use crate::xe::{Record, Uuid, Xe, failed_with};
use std::fs;

/// Clocks may differ by so many seconds.
const CLOCK_SLACK: u64 = 60;

/// A host, and what only this command asks of it.
#[derive(Clone, Debug)]
pub struct Member {
    pub host: Host,
    pub suspend_sr: Option<Uuid>,
    is_enabled: bool,
    is_live: bool,
    version: String,
    /// When its XAPI started, by the host's clock, in seconds since 1970.
    xapi_started: Option<u64>,
}

const FIELDS: [&str; 9] = [
    "uuid",
    "name-label",
    "hostname",
    "address",
    "enabled",
    "host-metrics-live",
    "suspend-image-sr-uuid",
    "software-version",
    "other-config",
];

pub fn look_up(xe: &Xe) -> Result<Vec<Member>> {
    let mut members = xe.list("host", &FIELDS, &[], read)?;
    members.sort_by(|a, b| a.host.name_label.cmp(&b.host.name_label));
    Ok(members)
}

fn read(record: &Record<'_>) -> Result<Member> {
    let host = Host {
        uuid: record.get("uuid")?,
        name_label: record.text("name-label").to_owned(),
        hostname: record.text("hostname").to_owned(),
        address: record.text("address").to_owned(),
    };
    let started = record.map_value("other-config", "agent_start_time");
    Ok(Member {
        host,
        suspend_sr: record.optional("suspend-image-sr-uuid")?,
        is_enabled: record.text("enabled") == "true",
        is_live: record.text("host-metrics-live") != "false",
        version: record.map_value("software-version", "product_version").unwrap_or_default().to_owned(),
        xapi_started: started.and_then(|time| time.trim_end_matches('.').parse().ok()),
    })
}

/// What stands between us and XAPI.
pub fn no_login(conf: &Conf, why: &anyhow::Error) -> Finding {
    let advice = if failed_with(why, &["SESSION_AUTHENTICATION_FAILED"]) {
        match conf.optional("XE_PASSWORD_FILE") {
            Some(file) => format!("correct user name and password in {file}"),
            None => "on a host run it as root; with XE_SERVER set XE_PASSWORD_FILE".to_owned(),
        }
    } else if conf.optional("XE_SERVER").is_some() {
        "see whether XE_SERVER names the pool's coordinator, and whether port 443 of it can be reached"
            .to_owned()
    } else {
        "see whether XAPI runs (xe-toolstack-restart), and whether this user is root".to_owned()
    };
    Finding::mend("login", format!("{why:#}"), advice)
}

pub fn check(members: &[Member], conf: &Conf, name: &str) -> Vec<Finding> {
    let names: Vec<String> =
        members.iter().map(|member| format!("{} ({})", member.host.name_label, member.version)).collect();
    let mut found = vec![Finding::fine("login", format!("the pool has {}", names.join(", ")))];
    let hosts: Vec<Host> = members.iter().map(|member| member.host.clone()).collect();
    found.extend(this_host(&hosts, conf, name));
    for member in members {
        let name = &member.host.name_label;
        if !member.is_live {
            let advice =
                "XAPI has not heard of it for long: see whether it runs and its management network works";
            found.push(Finding::mend("hosts", format!("{name} is not live"), advice));
        } else if !member.is_enabled {
            let advice = format!("no VM starts there: xe host-enable uuid={}", member.host.uuid);
            found.push(Finding::mend("hosts", format!("{name} is disabled"), advice));
        }
    }
    found.extend(clock(members));
    found
}

/// OpenNebula's name for the host must be one of XAPI's.
fn this_host(hosts: &[Host], conf: &Conf, name: &str) -> Option<Finding> {
    let own_name = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_here = conf.optional("XE_SERVER").is_none();
    let asked = if name.is_empty() && is_here { own_name().trim().to_owned() } else { name.to_owned() };
    if asked.is_empty() {
        return None;
    }
    Some(match host::named(hosts, &asked) {
        Ok(host) => Finding::fine("host", format!("{asked} is {} ({})", host.name_label, host.uuid)),
        Err(why) if name.is_empty() => {
            Finding::note("host", format!("{why:#}"), "name the host: one-xcp doctor HOST")
        }
        Err(why) => Finding::mend("host", format!("{why:#}"), "name it so in OpenNebula (onehost rename)"),
    })
}

/// XAPI cannot have started in what is the future here.
fn clock(members: &[Member]) -> Option<Finding> {
    let now = unix_time();
    let ahead =
        members.iter().find(|member| member.xapi_started.is_some_and(|time| time > now + CLOCK_SLACK))?;
    let by = ahead.xapi_started.unwrap_or(now) - now;
    let text = format!("{} is at least {by} s ahead of this machine", ahead.host.name_label);
    Some(Finding::mend("clock", text, "let all hosts and the front-end keep time by NTP (chronyc sources)"))
}
