//! The server's printer: records as people read them, or `--minimal` (xapi `cli_printer.ml`).

use std::fmt::Write as _;
use std::io::{self, Write as _};

/// A record to print: labels and values.
pub type Record = Vec<(String, String)>;

/// Collects what a verb prints on standard output.
#[derive(Debug, Default)]
pub struct Printer {
    minimal: bool,
    text: String,
    parts: Vec<String>,
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
