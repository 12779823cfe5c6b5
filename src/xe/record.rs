//! The records that `xe …-list` prints.

use crate::report::Result;
use anyhow::{Context, Error, anyhow};
use std::fmt::Display;
use std::str::FromStr;

/// What stands where XAPI has no value (xapi records.ml:21, :91, :138).
const NO_VALUE: [&str; 4] = ["<not in database>", "<expensive field>", "<invalid reference>", "<EMPTY>"];

/// One object: the fields that were asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Record<'a> {
    /// A field's text; empty where `xe` printed none or a sign for "no value".
    pub fn text(&self, field: &str) -> &'a str {
        let value = self.fields.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| *value);
        if NO_VALUE.contains(&value) { "" } else { value }
    }

    /// Whether XAPI knows the field and says that it has no value.
    pub fn is_without_value(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, value)| *name == field && NO_VALUE.contains(value))
    }

    /// A field as what it stands for; the error names the field and its text.
    pub fn get<T: FromStr<Err: Display>>(&self, field: &str) -> Result<T> {
        let text = self.text(field);
        text.parse().map_err(|why| anyhow!("xe gave {field} as {text:?}: {why}"))
    }

    /// A field that may have no value.
    pub fn optional<T: FromStr<Err: Into<Error>>>(&self, field: &str) -> Result<Option<T>> {
        let text = self.text(field);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(Into::into).with_context(|| format!("xe gave {field} as {text:?}"))
    }

    /// A map field's value under `key`. Only for maps whose values nobody but this driver writes:
    /// `xe` does not escape `; ` in them.
    pub fn map_value(&self, field: &str, key: &str) -> Option<&'a str> {
        map_value(self.text(field), key)
    }

    /// A set field's members.
    pub fn members(&self, field: &str) -> impl Iterator<Item = &'a str> {
        self.text(field).split([';', ',']).map(str::trim).filter(|member| !member.is_empty())
    }
}

/// The value under `key` in a printed map, `k: v; k2: v2`.
pub fn map_value<'a>(map: &'a str, key: &str) -> Option<&'a str> {
    map.split("; ").find_map(|pair| {
        let (name, value) =
            pair.split_once(": ").or_else(|| pair.strip_suffix(':').map(|name| (name, "")))?;
        (name == key).then_some(value)
    })
}

/// Reads records that hold `fields`, in whatever order and width XAPI prints them.
///
/// A line is a field only if it begins with one of the names asked for, so ask only for fields whose values
/// cannot hold line breaks: what tenants may write could forge a record.
pub fn parse<'a>(text: &'a str, fields: &[&str]) -> Vec<Record<'a>> {
    let mut records: Vec<Record<'a>> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = field(line, fields) else { continue };
        if !line.starts_with(' ') {
            records.push(Record { fields: Vec::with_capacity(fields.len()) });
        }
        if let Some(record) = records.last_mut() {
            record.fields.push((name, value));
        }
    }
    records
}

/// Whether what `xe …-list` printed, less its final line break, ends as it does: with two empty lines behind the last
/// record, or as nothing at all (xapi cli_printer.ml, `multi_line_record`; observed).
pub fn is_whole(text: &str) -> bool {
    text.is_empty() || text.ends_with("\n\n")
}

/// Takes apart what `--minimal` printed: one value of each object with commas between them, and `\` before each
/// comma or `\` of a value (xapi cli_printer.ml:49). Line breaks mean nothing there. Nothing and one empty value
/// look alike: it is one empty value.
pub fn values(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, values.last_mut()) {
            ('\\', Some(value)) => value.extend(chars.next()),
            (',', _) | (_, None) => values.push(String::new()),
            (c, Some(value)) => value.push(c),
        }
    }
    values
}

/// `     name-label ( RW): value` → (`name-label`, `value`).
fn field<'a>(line: &'a str, fields: &[&str]) -> Option<(&'a str, &'a str)> {
    let (name, rest) = line.trim_start().split_once(" (")?;
    if !fields.contains(&name) {
        return None;
    }
    let (_access, value) = rest.split_once(')')?;
    let value = value.trim_start().trim_start_matches("[DEPRECATED]").trim_start();
    Some((name, value.strip_prefix(':')?.strip_prefix(' ').unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "uuid ( RO)          : u1\n    power-state ( RO): halted\n    resident-on ( RO): <not in database>\n\n\n\
        uuid ( RO)          : u2\n    power-state ( RO): running\n    resident-on ( RO): h1\n\n\n";

    #[test]
    fn an_answer_that_ends_within_a_record_is_not_whole() {
        assert!(is_whole("") && is_whole(TWO));
        for cut in 1..TWO.len() {
            let ends_a_record = TWO[..cut].ends_with("\n\n");
            assert_eq!(is_whole(&TWO[..cut]), ends_a_record, "{cut}");
        }
    }

    #[test]
    fn records_come_in_whatever_order_xapi_prints() {
        let records = parse(TWO, &["resident-on", "uuid", "power-state"]);
        assert_eq!(records.len(), 2);
        assert_eq!((records[0].text("uuid"), records[0].text("resident-on")), ("u1", ""));
        assert_eq!((records[1].text("power-state"), records[1].text("resident-on")), ("running", "h1"));
    }

    #[test]
    fn maps_and_sets_are_taken_apart() {
        let text = "uuid ( RO)         : u\n    other-config (MRW): a: 1; one_vm_id: 7; owner: ; b: x: y\n    snapshots ( RO)   : s1; s2\n";
        let record = &parse(text, &["uuid", "other-config", "snapshots"])[0];
        assert_eq!(record.map_value("other-config", "one_vm_id"), Some("7"));
        assert_eq!(record.map_value("other-config", "owner"), Some(""));
        assert_eq!(record.map_value("other-config", "b"), Some("x: y"));
        assert_eq!(record.map_value("other-config", "none"), None);
        assert_eq!(record.members("snapshots").count(), 2);
    }

    #[test]
    fn no_value_can_pass_for_two() {
        assert_eq!(values("a,,b"), ["a", "", "b"]);
        assert_eq!(values("a\\,b,c\\\\,d\nuuid ( RO): e"), ["a,b", "c\\", "d\nuuid ( RO): e"]);
        assert_eq!(values(""), [""]);
        assert_eq!(values("\\"), [""]);
    }

    #[test]
    fn a_field_that_is_not_what_it_should_be_is_named() {
        let record = &parse("uuid ( RO): x\n", &["uuid"])[0];
        let error = record.get::<crate::xe::Uuid>("uuid").unwrap_err().to_string();
        assert_eq!(error, r#"xe gave uuid as "x": "x" is not a uuid"#);
    }
}
