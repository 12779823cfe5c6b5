//! The machine that the drivers run on: room, clock, and what monitoring needs.

use super::finding::Finding;
use crate::action::{self, Caller};
use crate::one::Conf;
use crate::one::conf::NAMED_HOST;
use crate::probe::{self, Counters, rrd_updates};
use crate::process;
use crate::qemu_img::{self, Found};
use crate::state_dir::StateDir;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FULL_MB: u64 = 1024;
const CLOCK_LIMIT: Duration = Duration::from_secs(5);

pub fn check(caller: &Caller, conf: &Conf, host: &str) -> Vec<Finding> {
    let mut found = vec![datastores(conf)];
    found.extend(state_dir());
    found.extend(socket(caller, conf, host).or_else(|| server(caller, conf, host)));
    found.extend(qemu_img(conf));
    found.extend(clock());
    found
}

/// Where images are copied to before they are brought into an SR. On a fresh host there is no such folder yet: what
/// counts is the file system it will be on.
fn datastores(conf: &Conf) -> Finding {
    const SUBJECT: &str = "datastores";
    let folder = probe::datastore_location(conf, None);
    let shown = folder.display();
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let Ok(stat) = rustix::fs::statvfs(there) else {
        let text = format!("cannot ask how full {} is", there.display());
        return Finding::mend(SUBJECT, text, "see whether its file system answers");
    };
    let mb = |blocks: u64| blocks * stat.f_frsize / (1 << 20);
    let (free, size) = (mb(stat.f_bavail), mb(stat.f_blocks));
    let text = if there == folder {
        format!("{shown} has {free} of {size} MB free")
    } else {
        let there = there.display();
        format!("there is no {shown} yet, monitoring makes it; {there} has {free} of {size} MB free")
    };
    let advice = "dom0 is small: mount something larger there, or use datastores on SRs";
    if free < FULL_MB {
        Finding::mend(SUBJECT, text, advice)
    } else if free < size / 10 {
        Finding::note(SUBJECT, text, advice)
    } else {
        Finding::fine(SUBJECT, text)
    }
}

/// Locks and what monitoring saves.
fn state_dir() -> Option<Finding> {
    let name = format!("doctor-{}", std::process::id());
    let tried = StateDir::open().and_then(|dir| {
        dir.replace(&name, "")?;
        dir.remove(&name);
        Ok(())
    });
    let why = tried.err()?;
    Some(Finding::mend("state directory", format!("{why:#}"), "locks and monitoring need it: see STATE_DIR"))
}

const NO_FIGURES: &str = "monitoring tells no CPU, network and disk figures";

/// From the front-end XAPI measures over TLS. What is wrong with the settings for that is said with them.
fn server(caller: &Caller, conf: &Conf, host: &str) -> Option<Finding> {
    let server = conf.optional("XE_SERVER")?;
    let host = if host.is_empty() { server } else { host };
    let xapi = caller.xapi(conf, host).ok()??;
    if host == NAMED_HOST {
        return Some(Finding::note(
            "metrics",
            "no host is named to ask",
            "name the host: one-xcp doctor HOST",
        ));
    }
    Some(match rrd_updates::add_to(&mut Counters::default(), &xapi, probe::unix_time()) {
        Ok(()) => Finding::fine("metrics", format!("XAPI answers on {xapi}")),
        Err(why) => {
            let what = format!(
                "{NO_FIGURES}, and without XAPI_FINGERPRINT xe sends the password to whoever answers"
            );
            Finding::note("metrics", format!("{why:#}"), what)
        }
    })
}

/// On the host. XAPI may answer, and have nobody who measures: xcp-rrdd is a daemon of its own.
fn socket(caller: &Caller, conf: &Conf, host: &str) -> Option<Finding> {
    let socket = action::xapi_socket(conf)?;
    let shown = socket.display();
    if let Err(why) = UnixStream::connect(Path::new(&socket)) {
        let text = format!("cannot reach XAPI on {shown}: {why}");
        return Some(Finding::note("metrics", text, format!("{NO_FIGURES}; see XAPI_SOCKET")));
    }
    let xapi = caller.xapi(conf, host).ok()??;
    Some(match rrd_updates::add_to(&mut Counters::default(), &xapi, probe::unix_time()) {
        Ok(()) => Finding::fine("metrics", format!("XAPI answers on {shown}, with what it measures")),
        Err(why) => {
            let text = format!("XAPI answers on {shown}, and not with what it measures: {why:#}");
            Finding::note("metrics", text, format!("{NO_FIGURES}; on the host: systemctl restart xcp-rrdd"))
        }
    })
}

/// OpenNebula's scripts of file datastores run it on the host.
fn qemu_img(conf: &Conf) -> Option<Finding> {
    if conf.optional("XE_SERVER").is_some() || !qemu_img::is_dom0(conf) {
        return None;
    }
    Some(match qemu_img::find() {
        Found::Other(path) => Finding::fine(qemu_img::NAME, path.display().to_string()),
        Found::Ours(path) => {
            let text = format!("{} is one-xcp's own: create, resize, info and convert", path.display());
            Finding::fine(qemu_img::NAME, text)
        }
        Found::None => Finding::note(
            qemu_img::NAME,
            "there is none: in file datastores no volatile and swap disks, no disks larger than their image, no disk-resize",
            "monitoring links one-xcp's own when OpenNebula starts it on this host; see QEMU_IMG_LINK",
        ),
    })
}

/// Both releases of systemd say it in their own words: `NTP synchronized: no`, `System clock synchronized: no`.
fn clock() -> Option<Finding> {
    let said = process::output(Command::new("timedatectl").env("LC_ALL", "C"), CLOCK_LIMIT).ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("synchronized:"))?;
    Some(if line.trim().ends_with("yes") {
        Finding::fine("clock", "it is kept by NTP")
    } else {
        let text = "it is not kept by NTP";
        Finding::note("clock", text, "XAPI's figures and OpenNebula's times drift apart: start chronyd")
    })
}
