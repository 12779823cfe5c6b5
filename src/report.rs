//! What OpenNebula reads of us: the answer on standard output, log lines and one error line on standard
//! error (OpenNebula's `DriverExecHelper.rb`). The only file of the drivers that writes to the terminal.

use anyhow::bail;
use std::io::{self, Write};
use std::process::ExitCode;

/// What every step of an action gives back.
pub type Result<T> = anyhow::Result<T>;

/// How one line of the VM's log is marked; OpenNebula knows just these words (`WARN`, not `WARNING`).
#[derive(Clone, Copy)]
enum Level {
    Info,
    Warn,
    Debug,
}

/// Says in the VM's log what was done.
pub fn info(text: impl AsRef<str>) {
    log(Level::Info, text.as_ref());
}

/// Says in the VM's log what was asked for and could not be honoured, or went wrong without harm.
pub fn warn(text: impl AsRef<str>) {
    log(Level::Warn, text.as_ref());
}

/// Says in the VM's log what `xe` was asked (`-v`).
pub fn debug(text: impl AsRef<str>) {
    log(Level::Debug, text.as_ref());
}

fn log(level: Level, text: &str) {
    let word = match level {
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Debug => "DEBUG",
    };
    // A number right after the colon would be taken for the VM's id.
    let text = one_line(text);
    let guard = if text.starts_with(|first: char| first.is_ascii_digit()) { "value " } else { "" };
    _ = writeln!(io::stderr(), "{word}: {guard}{text}");
}

/// Whether a person reads the answer.
pub fn is_read_by_a_person() -> bool {
    io::IsTerminal::is_terminal(&io::stdout())
}

/// Whether a person watches standard error, which is the log otherwise.
pub fn is_watched_by_a_person() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

/// Puts a line in the place of the one before, for a person who watches.
pub fn progress(line: &str) {
    _ = write!(io::stderr(), "\r{line}");
}

/// Prints a line for people who run a command by hand. Actions answer with [`success`] alone.
pub fn say(line: &str) {
    _ = writeln!(io::stdout(), "{line}");
}

/// Prints an action's answer: the DEPLOY_ID of `deploy`, the one line of `poll`, nothing for most.
pub fn success(answer: &str) -> ExitCode {
    if answer.is_empty() {
        return ExitCode::SUCCESS;
    }
    match writeln!(io::stdout(), "{}", answer.trim_end_matches('\n')) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints the one line that the user sees as the VM's error: `deploy: cannot …: xe …: words (CODE).`
///
/// OpenNebula glues several lines together without a separator, and never sees the end of the script's
/// answer when the last line has no newline.
///
/// OpenNebula up to 6.0.2 takes it from between two marks (`scripts_common.sh`): `with_marks`.
pub fn failure(action: &str, error: &anyhow::Error, with_marks: bool) -> ExitCode {
    let text = one_line(&format!("{error:#}"));
    let line = format!("{action}: {}.", text.trim_end_matches(['.', ' ', ':']));
    if with_marks {
        _ = writeln!(io::stderr(), "ERROR MESSAGE --8<------\n{line}\nERROR MESSAGE ------>8--");
    } else {
        _ = writeln!(io::stderr(), "{line}");
    }
    ExitCode::FAILURE
}

/// Prints the help that was asked for, or to a person clap's own text of what is wrong with the command line. In
/// OpenNebula's hands that is an error like any other, in one line.
pub fn usage(message: &clap::Error) -> Result<ExitCode> {
    if !message.use_stderr() {
        _ = write!(io::stdout(), "{message}");
        return Ok(ExitCode::SUCCESS);
    }
    let text = in_plain_words(&message.to_string());
    let is_help = message.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || is_watched_by_a_person() {
        _ = write!(io::stderr(), "{text}");
        return Ok(ExitCode::FAILURE);
    }
    let wrong = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    match text.lines().find_map(|line| line.strip_prefix("Usage: ")) {
        Some(usage) => bail!("{wrong}; usage: {usage}"),
        None => bail!("{wrong}"),
    }
}

/// Rust's words for numbers that are none say what a digit is, and not what is wanted.
fn in_plain_words(text: &str) -> String {
    text.replace("invalid digit found in string", "a whole number is wanted")
        .replace("cannot parse integer from empty string", "a whole number is wanted")
        .replace("number too large to fit in target type", "the number is too large")
}

/// One line of printable text: line breaks and other control characters become blanks.
pub fn one_line(text: &str) -> String {
    let blanks: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    blanks.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn line_breaks_and_runs_of_blanks_become_one_blank() {
        assert_eq!(one_line("a\r\n\tb  c\u{7}\n"), "a b c");
    }
}
