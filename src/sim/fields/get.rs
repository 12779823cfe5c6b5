//! A field's value, as text, members or entries.

use super::field::{Entries, Field, Get, Members, Pairs, Shape};
use crate::sim::pool::Pool;
use crate::sim::row::{Class, Row};

/// What stands for a reference to nothing (xapi `records.ml` nid).
pub const NOWHERE: &str = "<not in database>";

impl Field {
    /// The field's text.
    pub fn value(&self, pool: &Pool, row: &Row) -> String {
        match &self.shape {
            Shape::One { get, .. } => one(self.name, get, pool, row),
            Shape::Set { separator, .. } => self.members(pool, row).unwrap_or_default().join(separator),
            Shape::Map { .. } => match self.pairs(pool, row) {
                Some(pairs) => as_text(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
                None => NOWHERE.to_owned(),
            },
        }
    }

    /// The members of a set; none of another field.
    pub fn members(&self, pool: &Pool, row: &Row) -> Option<Vec<String>> {
        match &self.shape {
            Shape::Set { members: Members::Kept, .. } => {
                Some(row.entries(self.name).map(|(key, _)| key.to_owned()).collect())
            }
            Shape::Set { members: Members::Made(make), .. } => Some(make(pool, row)),
            _ => None,
        }
    }

    /// The entries of a map; none of another field.
    pub fn pairs(&self, pool: &Pool, row: &Row) -> Entries {
        match &self.shape {
            Shape::Map { pairs: Pairs::Kept, .. } => {
                let entries = row.entries(self.name);
                Some(entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
            }
            Shape::Map { pairs: Pairs::Made(make), .. } => make(pool, row),
            _ => None,
        }
    }

    /// The field's name with its mark (xapi `cli_operations.ml` `print_field`).
    pub fn label(&self) -> String {
        let mark = match &self.shape {
            Shape::Set { writable: false, .. } => " (SRO)",
            Shape::Set { .. } => " (SRW)",
            Shape::Map { check: None, .. } => " (MRO)",
            Shape::Map { .. } => " (MRW)",
            Shape::One { set: None, .. } => " ( RO)",
            Shape::One { .. } => " ( RW)",
        };
        format!("{}{mark}{}", self.name, if self.deprecated { " [DEPRECATED]" } else { "" })
    }
}

fn one(name: &str, get: &Get, pool: &Pool, row: &Row) -> String {
    let known = |class: Class, uuid: &str| pool.find(class, uuid).map(|found| found.uuid.to_string());
    match get {
        Get::Kept if name == "uuid" => row.uuid.to_string(),
        Get::Kept => row.get(name).to_owned(),
        Get::Always(text) => (*text).to_owned(),
        Get::Made(make) => make(pool, row),
        Get::Uuid(class) => known(*class, row.get(name)).unwrap_or_else(|| NOWHERE.into()),
        Get::UuidIn(held, class) => known(*class, row.get(held)).unwrap_or_else(|| NOWHERE.into()),
        Get::NameOf(held, class) => match pool.find(*class, row.get(held)) {
            Some(found) => found.get("name-label").to_owned(),
            None => NOWHERE.to_owned(),
        },
    }
}

/// A map on one line (xapi `records.ml` `get_from_map`).
pub fn as_text<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    pairs.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("; ")
}

/// The uuids of the rows that refer to `row`.
pub(super) fn referring(pool: &Pool, class: Class, name: &'static str, row: &Row) -> Vec<String> {
    pool.referring_uuids(class, name, &row.uuid)
}
