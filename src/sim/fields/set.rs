//! Setting a field of one value, and the checks of values.

use super::field::{Field, Set};
use crate::sim::arguments::bytes;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome};
use crate::sim::row::Class;

impl Field {
    /// Sets a field of one value.
    pub fn set(&self, set: &Set, pool: &mut Pool, class: Class, uuid: &str, value: &str) -> Outcome<()> {
        match set {
            Set::Text => pool.set(class, uuid, self.name, value),
            Set::Integer => pool.set(class, uuid, self.name, &integer(self.name, value)?.to_string()),
            Set::Flag => {
                pool.set(class, uuid, self.name, if flag(self.name, value)? { "true" } else { "false" })
            }
            Set::Uuid(target) => {
                if !value.is_empty() {
                    pool.get(*target, value)?;
                }
                pool.set(class, uuid, self.name, value)
            }
            Set::Own(set) => set(pool, uuid, value),
        }
    }
}

/// An integer value (xapi `records.ml` `safe_i64_of_string`).
pub(super) fn integer(name: &str, value: &str) -> Outcome<i64> {
    value
        .parse()
        .map_err(|_| Fail::Record(format!("Failed to parse parameter '{name}': expecting an integer")))
}

/// A yes or no that must be `true` or `false` (xapi `records.ml` `safe_bool_of_string`).
pub(super) fn flag(name: &str, value: &str) -> Outcome<bool> {
    value.parse().map_err(|_| {
        Fail::Record(format!("Failed to parse parameter '{name}': expecting a boolean (true or false)"))
    })
}

/// A size in bytes.
pub(super) fn size(name: &str, value: &str) -> Outcome<i64> {
    bytes(name, value)
}

/// One of some words, whatever their case, each with what it is kept as.
pub(super) fn word(
    known: &[(&str, &'static str)],
    value: &str,
    complaint: impl FnOnce() -> String,
) -> Outcome<&'static str> {
    let lower = value.to_ascii_lowercase();
    known
        .iter()
        .find(|(word, _)| *word == lower)
        .map(|(_, kept)| *kept)
        .ok_or_else(|| Fail::Record(complaint()))
}

/// What XAPI's generated parsers say of a word they do not know.
pub(super) fn expected(words: &[(&str, &str)], value: &str) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("'{word}'")).collect();
    format!("Expected one of {}, got {value}", words.join(", "))
}
