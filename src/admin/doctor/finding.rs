//! What the doctor finds, a line each.

use crate::admin::text;
use crate::report::one_line;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Fine,
    /// It works, with a limit one should know of.
    Note,
    /// Actions will fail.
    Mend,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Mend => "MEND",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub level: Level,
    /// What was looked at.
    pub subject: &'static str,
    pub text: String,
    /// What to do; empty when all is well.
    pub advice: String,
}

impl Finding {
    pub fn fine(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { level: Level::Fine, subject, text: text.into(), advice: String::new() }
    }

    pub fn note(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level: Level::Note, subject, text: text.into(), advice: advice.into() }
    }

    pub fn mend(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level: Level::Mend, subject, text: text.into(), advice: advice.into() }
    }

    pub fn line(&self) -> String {
        let advice = if self.advice.is_empty() { String::new() } else { format!(": {}", self.advice) };
        format!("{:<5} {}: {}", self.level.word(), self.subject, one_line(&format!("{}{advice}", self.text)))
    }

    pub fn json(&self) -> String {
        text::object(&[
            ("level", text::string(&self.level.word().to_ascii_lowercase())),
            ("subject", text::string(self.subject)),
            ("text", text::string(&self.text)),
            ("advice", text::string(&self.advice)),
        ])
    }
}
