//! The settings file: is it there, and is everything in it known and readable.

use super::finding::Finding;
use crate::action::Caller;
use crate::one::Conf;
use crate::one::conf::NAMES;
use crate::probe::pci::Filter;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SUBJECT: &str = "settings";

/// The settings to go on with, and what is wrong with them.
pub fn check(caller: &Caller) -> (Conf, Vec<Finding>) {
    let file = Conf::find(&caller.called_as);
    let mut found = Vec::new();
    if let Some(file) = &file {
        let text = fs::read_to_string(file).unwrap_or_default();
        for (number, name) in unknown(&text) {
            let place = format!("{} line {number}: there is no setting {name}", file.display());
            found.push(Finding::mend(SUBJECT, place, "correct or remove it: every action fails on it"));
        }
    }
    let conf = match caller.conf() {
        Ok(conf) => conf,
        Err(why) => {
            // What was said line by line need not be said again.
            if found.is_empty() {
                found.push(Finding::mend(SUBJECT, format!("{why:#}"), "correct the file"));
            }
            Conf::load(Path::new("")).unwrap_or_default()
        }
    };
    found.extend(values(caller, &conf));
    found.extend(
        ["XE_PASSWORD_FILE", "REMOTE_PASSWORD_FILE"].iter().filter_map(|name| password_file(&conf, name)),
    );
    if found.is_empty() {
        found.push(Finding::fine(
            SUBJECT,
            file.map_or("no xcprc beside these drivers: every default holds".to_owned(), |file| {
                file.display().to_string()
            }),
        ));
    }
    (conf, found)
}

fn unknown(text: &str) -> Vec<(usize, String)> {
    let names = text.lines().enumerate().filter_map(|(number, line)| {
        let line = line.trim();
        let setting = line.strip_prefix("export ").unwrap_or(line);
        let name = setting.split_once('=')?.0.trim();
        let is_setting = !line.starts_with('#') && !NAMES.contains(&name);
        is_setting.then(|| (number + 1, name.to_owned()))
    });
    names.collect()
}

/// Each value read as its action will read it.
fn values(caller: &Caller, conf: &Conf) -> Vec<Finding> {
    let times = ["XE_TIMEOUT", "XE_TRANSFER_TIMEOUT", "XAPI_RESTART_TIMEOUT", "SHUTDOWN_TIMEOUT"]
        .map(|name| conf.seconds(name, 1).map(drop));
    let counts = ["XE_AT_ONCE", "XE_RETRY_PAUSE"].map(|name| conf.count(name, 1).map(drop));
    let flags = ["FORCE_SHUTDOWN", "CPU_CAP", "VERIFY_IMAGES"].map(|name| conf.yes(name).map(drop));
    let words: [(&str, &[&str]); 3] = [
        ("NO_TOOLS_SHUTDOWN", &["force", "fail"]),
        ("CONTEXT_DEVICE", &["auto", "cd", "disk"]),
        ("CONSOLE", &["yes", "no"]),
    ];
    let words = words.map(|(name, words)| conf.one_of(name, words).map(drop));
    let others = [Filter::from_conf(conf).map(drop), caller.xapi(conf, "").map(drop)];
    let wrong =
        times.into_iter().chain(counts).chain(flags).chain(words).chain(others).filter_map(Result::err);
    wrong.map(|why| Finding::mend(SUBJECT, format!("{why:#}"), "correct it")).collect()
}

/// Its password opens a whole pool.
fn password_file(conf: &Conf, name: &str) -> Option<Finding> {
    let file = conf.optional(name)?;
    let Ok(text) = fs::read_to_string(file) else {
        let text = format!("cannot read {name} {file}");
        return Some(Finding::mend(SUBJECT, text, "make it, for oneadmin to read"));
    };
    if text.lines().filter(|line| !line.is_empty()).count() != 2 {
        let text = format!("{name} {file} has not two lines");
        return Some(Finding::mend(
            SUBJECT,
            text,
            "the user's name on the first, the password on the second",
        ));
    }
    let mode = fs::metadata(file).map_or(0, |file| file.permissions().mode());
    (mode & 0o077 != 0).then(|| {
        let text = format!("{name} {file} can be read by others");
        Finding::mend(SUBJECT, text, format!("chmod 600 {file}"))
    })
}
