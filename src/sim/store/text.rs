//! The pool as text: a line a row, attributes divided by tabs.

use crate::sim::pool::Pool;
use crate::sim::row::{Class, Row, Text};
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::fmt::Write as _;

const HEADING: &str = "one-xcp simulated pool 1";

/// Writes the pool.
pub fn print(pool: &Pool) -> String {
    let mut text = format!("{HEADING}\tcounter={}\tclock={}\tpassword=", pool.counter, pool.clock);
    escape(&pool.password, &mut text);
    let _ = writeln!(text, "\tno-tools={}", pool.no_tools);
    // Tasks are kept apart from the state: they go with their process.
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Task) {
        for row in pool.rows(class) {
            let _ = write!(text, "{}\t{}", class.api_name(), row.uuid);
            for (name, value) in row.attributes() {
                text.push('\t');
                escape(name, &mut text);
                text.push('=');
                escape(value, &mut text);
            }
            text.push('\n');
        }
    }
    text
}

/// Reads what [`print`] has written; rows point into the text.
pub fn parse(text: &'static str) -> Result<Pool> {
    let mut lines = text.lines();
    let mut heading = lines.next().context("it is empty")?.split('\t');
    if heading.next() != Some(HEADING) {
        bail!("it does not begin with {HEADING:?}");
    }
    let mut pool = Pool::default();
    for part in heading {
        let (name, value) = part.split_once('=').context("its first line is not name=value")?;
        match name {
            "counter" => pool.counter = value.parse()?,
            "clock" => pool.clock = value.parse()?,
            "password" => pool.password = unescape(value).into_owned(),
            "no-tools" => pool.no_tools = value == "true",
            _ => bail!("its first line has an unknown {name}"),
        }
    }
    let mut tables: Vec<(Class, Vec<Row>)> = Class::ALL.map(|class| (class, Vec::new())).into();
    for line in lines {
        let mut parts = line.split('\t');
        let name = parts.next().unwrap_or_default();
        let (class, rows) =
            tables.iter_mut().find(|(class, _)| class.api_name() == name).context("a row has no class")?;
        let mut row = Row::new(*class, parts.next().context("a row has no uuid")?);
        for part in parts {
            let (name, value) = part.split_once('=').context("an attribute is not name=value")?;
            row.keep(unescape(name), unescape(value));
        }
        rows.push(row);
    }
    for (class, rows) in tables {
        pool.load(class, rows);
    }
    Ok(pool)
}

fn escape(value: &str, into: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => into.push_str("\\\\"),
            '\t' => into.push_str("\\t"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '=' => into.push_str("\\e"),
            _ => into.push(letter),
        }
    }
}

fn unescape(value: &'static str) -> Text {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('e') => '=',
                other => other.unwrap_or('\\'),
            },
            _ => letter,
        });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut pool = Pool::default();
        (pool.counter, pool.clock, pool.password) = (3, 9, "a=b\t".into());
        let mut vm = Row::new(Class::Vm, "u");
        vm.set("name-label", "a\tb=c\nd\\e");
        vm.put("other-config", "k=1", "v");
        pool.insert(vm);
        let text = print(&pool);
        let again = parse(Box::leak(text.clone().into_boxed_str())).unwrap();
        assert_eq!(print(&again), text);
        let vm = again.find(Class::Vm, "u").unwrap();
        assert_eq!(vm.get("name-label"), "a\tb=c\nd\\e");
        assert_eq!(vm.entry("other-config", "k=1"), Some("v"));
        assert_eq!(again.password, "a=b\t");
    }

    #[test]
    fn another_file_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("hello\n").is_err());
    }
}
