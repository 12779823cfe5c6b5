//! How the demo shows what happens.

use super::stage::Stage;
use crate::report::{self, Result};
use anyhow::ensure;
use std::time::Instant;

impl Stage {
    /// Prints a heading.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        report::say("");
        report::say(&self.painted("1;36", &format!("{}. {title}", self.steps)));
    }

    /// Runs one command line as OpenNebula would, shows it, its answer, and the calls of `xe` it made.
    pub fn show(&self, script: &str, args: &[&str], stdin: &str) -> Result<String> {
        self.quietly("one-xcp", ["sim", "log", "--clear"])?;
        let shown_stdin = if stdin.is_empty() { "" } else { " <<< \"$XML\"" };
        let shown_args: Vec<String> = args.iter().map(|arg| cut(arg, 100)).collect();
        report::say(&self.painted("1", &format!("$ {script} {}{shown_stdin}", shown_args.join(" "))));
        let start = Instant::now();
        let (answer, log, succeeded) =
            self.run(self.folder.join("remotes").join(script).as_os_str(), args, stdin)?;
        let took_ms = start.elapsed().as_millis();
        log.lines().for_each(|line| report::say(&self.painted("33", line)));
        ensure!(succeeded, "{script} failed");
        answer.lines().for_each(report::say);
        let calls = self.quietly("one-xcp", ["sim", "log"])?;
        let count = match calls.lines().count() {
            1 => "1 call".to_owned(),
            count => format!("{count} calls"),
        };
        report::say(&self.painted("2", &format!("  {took_ms} ms, {count} of xe:")));
        for call in calls.lines() {
            report::say(&self.painted("2", &format!("  {}", shortened(call))));
        }
        Ok(answer.trim().to_owned())
    }

    /// Asks the pool directly, and shows what it says.
    pub fn ask(&self, args: &[&str]) -> Result<String> {
        report::say(&self.painted("1", &format!("$ xe {}", args.join(" "))));
        let answer = self.quietly("xe", args)?;
        answer.lines().for_each(report::say);
        Ok(answer.trim().to_owned())
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A line of the log, `start_ms duration_ms exit verb args…`, as its duration and the call, cut to a line.
fn shortened(call: &str) -> String {
    let mut words = call.splitn(4, ' ').skip(1);
    let took_ms: f64 = words.next().and_then(|ms| ms.parse().ok()).unwrap_or_default();
    let line = words.nth(1).unwrap_or_default().trim_end_matches(" --trace");
    format!("{took_ms:>6.0} ms  xe {}", cut(line, 100))
}

/// The first so many letters, with dots if there are more.
fn cut(text: &str, letters: usize) -> String {
    let short: String = text.chars().take(letters).collect();
    if short.len() < text.len() { short + "…" } else { short }
}
