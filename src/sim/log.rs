//! The log of `xe` calls beside the state file.

use super::store::Store;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// A call that is running.
#[derive(Debug)]
pub struct Entry {
    start: SystemTime,
    words: String,
}

/// Microseconds since 1970.
fn micros(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros())
}

impl Entry {
    /// Begins the entry of a call with these arguments.
    pub fn begin(args: &[String]) -> Self {
        Self { start: SystemTime::now(), words: hidden(args) }
    }

    /// Appends the entry to the log: `START DURATION EXIT ARGUMENTS`, times in microseconds since 1970.
    pub fn end(&self, store: &Store, exit: u8) -> Result<()> {
        let start = micros(self.start);
        let duration = micros(SystemTime::now()).saturating_sub(start);
        let line = format!("{start} {duration} {exit} {}\n", self.words);
        let path = store.beside(".log");
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The arguments as one line, passwords hidden, blanks kept apart by quotes.
fn hidden(args: &[String]) -> String {
    let mut words = Vec::new();
    let mut secret = false;
    for arg in args {
        let word = match arg.split_once('=') {
            _ if secret => "***".to_owned(),
            Some((key, _)) if key.to_ascii_lowercase().contains("password") && key != "passwordfile" => {
                format!("{key}=***")
            }
            _ => arg.clone(),
        };
        secret = arg == "-pw";
        words.push(quoted(&word));
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let word = word.replace('\n', "\\n").replace('\r', "\\r");
    if word.is_empty() || word.contains([' ', '\'', '\t']) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    word
}

/// The log for people: `start_ms duration_ms exit verb arguments…`, the first call starting at 0.
pub fn show(store: &Store) -> Result<String> {
    let text = match fs::read_to_string(store.beside(".log")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        text => text.context("cannot read the log")?,
    };
    let mut calls: Vec<(u128, u128, &str)> = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ' ');
        let start = parts.next().and_then(|part| part.parse().ok());
        let duration = parts.next().and_then(|part| part.parse().ok());
        let (Some(start), Some(duration), Some(rest)) = (start, duration, parts.next()) else {
            anyhow::bail!("the log has a damaged line: {line}");
        };
        calls.push((start, duration, rest));
    }
    calls.sort_unstable();
    let first = calls.first().map_or(0, |(start, _, _)| *start);
    let mut shown = String::new();
    for (start, duration, rest) in calls {
        let start = start - first;
        writeln!(
            shown,
            "{}.{:03} {}.{:03} {rest}",
            start / 1000,
            start % 1000,
            duration / 1000,
            duration % 1000
        )?;
    }
    Ok(shown)
}

/// Empties the log.
pub fn clear(store: &Store) -> Result<()> {
    match fs::remove_file(store.beside(".log")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("cannot empty the log"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_reach_the_log() {
        let args = ["-s", "h", "-pw", "geheim", "vm-migrate", "remote-password=geheim", "name-label=a b"];
        let line = hidden(&args.map(str::to_owned));
        assert_eq!(line, "-s h -pw *** vm-migrate remote-password=*** 'name-label=a b'");
    }
}
