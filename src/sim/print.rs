//! The server's printer: records as people read them, or `--minimal` (xapi `cli_printer.ml`).

use super::fault::GARBAGE;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// A record to print: labels and values.
pub type Record = Vec<(String, String)>;

/// An answer that does not arrive as it was given, of a call that has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Spoilt {
    /// Nothing of it.
    Empty,
    /// All but the last record, line or value.
    Short,
    /// It ends in the middle of the last record, line or value.
    Cut,
    /// Something else in its place.
    Junk,
}

impl Spoilt {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Short => "short",
            Self::Cut => "cut",
            Self::Junk => "junk",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Empty, Self::Short, Self::Cut, Self::Junk].into_iter().find(|how| how.name() == name)
    }

    /// What arrives of a text.
    pub fn text(self, text: &str) -> String {
        let body = text.trim_end_matches('\n');
        let last = ["\n\n\n", "\n", ","].iter().find_map(|end| Some(body.rfind(end)? + end.len()));
        let last = last.unwrap_or(0);
        match self {
            Self::Empty => String::new(),
            Self::Short => body.get(..last).unwrap_or_default().to_owned(),
            Self::Cut => {
                let letters: Vec<(usize, char)> = body.char_indices().filter(|(at, _)| *at >= last).collect();
                let middle = letters.get(letters.len() / 2).map_or(last, |(at, _)| *at);
                body.get(..middle).unwrap_or_default().to_owned()
            }
            Self::Junk => format!("{GARBAGE}\n"),
        }
    }

    /// How many of so many bytes arrive; junk is as few as nothing.
    pub fn bytes(self, whole: usize) -> usize {
        match self {
            Self::Empty | Self::Junk => 0,
            Self::Short => whole.saturating_sub(512),
            Self::Cut => whole / 2,
        }
    }
}

/// Collects what a verb prints on standard output.
#[derive(Debug, Default)]
pub struct Printer {
    minimal: bool,
    text: String,
    parts: Vec<String>,
    /// What becomes of the answer on its way.
    pub spoilt: Option<Spoilt>,
}

impl Printer {
    /// A printer for a command, `minimal` if it says `--minimal`.
    pub fn new(minimal: bool) -> Self {
        Self { minimal, ..Self::default() }
    }

    /// Prints records; of each only the first value with `--minimal`.
    pub fn table(&mut self, records: &[Record]) {
        if self.minimal {
            let firsts: Option<Vec<_>> =
                records.iter().map(|record| record.first().map(|(_, value)| escape(value))).collect();
            if let Some(firsts) = firsts.filter(|firsts| !firsts.is_empty()) {
                self.parts.push(firsts.join(","));
            }
            return;
        }
        for record in records {
            self.text += &lines(record);
            self.text += "\n\n\n";
        }
    }

    /// Prints values, one a line.
    pub fn list<S: AsRef<str>>(&mut self, values: &[S]) {
        if self.minimal {
            let values: Vec<String> = values.iter().map(|value| escape(value.as_ref())).collect();
            self.parts.push(values.join(","));
            return;
        }
        for value in values {
            self.line(value.as_ref());
        }
    }

    /// Prints a remark, which `--minimal` leaves out.
    pub fn remark(&mut self, text: &str) {
        if !self.minimal {
            self.line(text);
        }
    }

    /// Prints a line, `--minimal` or not.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// Writes out what has been collected so far.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(std::mem::take(&mut self.text).as_bytes())?;
        stdout.flush()
    }

    /// The whole output of a command that has succeeded.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.minimal {
            self.parts.reverse();
            let parts = self.parts.join(",");
            self.line(&parts);
        }
        if let Some(how) = self.spoilt {
            self.text = how.text(&self.text);
        }
        self.flush()
    }
}

fn lines(record: &Record) -> String {
    let width = 4 + record.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (at, (label, value)) in record.iter().enumerate() {
        if at == 0 {
            let _ = write!(text, "{label:<width$}: {value}");
        } else {
            let _ = write!(text, "\n{label:>width$}: {value}");
        }
    }
    text
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pairs: &[(&str, &str)]) -> Record {
        pairs.iter().map(|&(label, value)| (label.into(), value.into())).collect()
    }

    #[test]
    fn records_are_aligned_and_end_with_two_empty_lines() {
        let mut printer = Printer::new(false);
        printer.table(&[record(&[("uuid ( RO)", "u"), ("power-state ( RO)", "halted")])]);
        assert_eq!(printer.text, "uuid ( RO)           : u\n    power-state ( RO): halted\n\n\n");
    }

    #[test]
    fn a_spoilt_answer_lacks_its_end() {
        let whole = "uuid ( RO)    : a\n    name ( RW): b\n\n\nuuid ( RO)    : c\n    name ( RW): d\n\n\n";
        let (first, second) = whole.split_at(whole.len() / 2);
        assert_eq!(Spoilt::Short.text(whole), first);
        let cut = Spoilt::Cut.text(whole);
        assert!(cut.starts_with(first) && cut.len() > first.len() && whole.starts_with(&cut), "{cut:?}");
        assert_eq!(cut.len(), first.len() + second.trim_end().len() / 2);
        assert_eq!(Spoilt::Short.text("a,b,c\n"), "a,b,");
        assert_eq!(Spoilt::Cut.text("1234,5678\n"), "1234,56");
        assert_eq!((Spoilt::Short.text("1234\n").as_str(), Spoilt::Cut.text("1234\n").as_str()), ("", "12"));
        assert_eq!(Spoilt::Empty.text(whole), "");
        assert_eq!(Spoilt::Junk.text(whole), format!("{GARBAGE}\n"));
        assert!(Spoilt::Cut.bytes(2048) == 1024 && Spoilt::Short.bytes(2048) == 1536);
    }

    #[test]
    fn an_empty_record_is_three_line_breaks() {
        let mut printer = Printer::new(false);
        printer.table(&[record(&[])]);
        assert_eq!(printer.text, "\n\n\n");
    }

    #[test]
    fn minimal_takes_first_values_and_escapes_them() {
        let mut printer = Printer::new(true);
        printer.table(&[record(&[("a", "x, y\\")]), record(&[("a", "z")])]);
        printer.remark("not this");
        assert_eq!(printer.parts, ["x\\, y\\\\,z"]);
    }
}
