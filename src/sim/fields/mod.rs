//! Field tables: what `xe` shows, filters and sets of each class. One table drives `…-list` and the
//! `…-param-*` verbs, as xapi's `records.ml` does; the order of the fields is its order.

mod host;
mod network;
mod pool;
mod storage;
mod task;
mod vif;
mod vm;
mod vm_set;
mod vtpm;

pub use host::HOST;
pub use network::{NETWORK, PIF, VLAN};
pub use pool::POOL;
pub use storage::{PBD, SR, VBD, VDI};
pub use task::{CONSOLE, MESSAGE, TASK};
pub use vif::VIF;
pub use vm::VM;
pub use vm_set::{balloon, check_limits, limits_of, memory_limits};
pub use vtpm::VTPM;

use super::arguments::bytes;
use super::pool::Pool;
use super::refuse::{Fail, Outcome};
use super::row::{Class, Row};

/// What stands for a reference to nothing (xapi `records.ml` nid).
pub const NOWHERE: &str = "<not in database>";

/// How a field's text is got.
pub enum Get {
    /// As the attribute of the field's name.
    Kept,
    /// The attribute of the field's name holds the uuid of an object of this class.
    Uuid(Class),
    /// The name-label of the object of this class whose uuid that attribute holds.
    NameOf(&'static str, Class),
    /// Another attribute that holds the uuid of an object of this class.
    UuidIn(&'static str, Class),
    /// Always the same: what the simulator does not have.
    Always(&'static str),
    /// Worked out.
    Made(fn(&Pool, &Row) -> String),
}

/// How a field is set.
pub enum Set {
    /// Any text.
    Text,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Flag,
    /// The uuid of an object, or nothing.
    Uuid(Class),
    /// In a way of its own, with XAPI's checks.
    Own(fn(&mut Pool, &str, &str) -> Outcome<()>),
}

/// How the members of a set are got.
pub enum Members {
    Kept,
    Made(fn(&Pool, &Row) -> Vec<String>),
}

/// Entries of a map, if the object they belong to is there.
type Entries = Option<Vec<(String, String)>>;

/// How the entries of a map are got.
pub enum Pairs {
    Kept,
    Made(fn(&Pool, &Row) -> Entries),
}

/// How one entry of a map is set: a check before it is kept.
pub type Check = fn(&Pool, &str, &str) -> Outcome<()>;

/// What kind of value a field has.
pub enum Shape {
    One { get: Get, set: Option<Set> },
    Set { members: Members, separator: &'static str, writable: bool, whole: bool },
    Map { pairs: Pairs, check: Option<Check> },
}

/// A field of a class.
#[expect(clippy::struct_excessive_bools, reason = "xapi's own marks, each apart from the others")]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    /// Costs another call: lists do not work it out.
    pub expensive: bool,
    pub deprecated: bool,
    /// Shown only by `…-param-get`.
    pub hidden: bool,
    /// Filters do not tell upper from lower case.
    pub caseless: bool,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, expensive: false, deprecated: false, hidden: false, caseless: false }
}

/// ` ( RO)`
const fn ro(name: &'static str, get: Get) -> Field {
    field(name, Shape::One { get, set: None })
}

/// ` ( RW)`
const fn rw(name: &'static str, get: Get, set: Set) -> Field {
    field(name, Shape::One { get, set: Some(set) })
}

/// ` (SRO)`
const fn sro(name: &'static str, members: Members) -> Field {
    field(name, Shape::Set { members, separator: "; ", writable: false, whole: false })
}

/// ` (SRW)`, members kept in the row.
const fn srw(name: &'static str, separator: &'static str, whole: bool) -> Field {
    field(name, Shape::Set { members: Members::Kept, separator, writable: true, whole })
}

/// ` (MRO)`
const fn mro(name: &'static str, pairs: Pairs) -> Field {
    field(name, Shape::Map { pairs, check: None })
}

/// ` (MRW)`, entries kept in the row.
const fn mrw(name: &'static str) -> Field {
    field(name, Shape::Map { pairs: Pairs::Kept, check: Some(anything) })
}

/// ` (MRW)`, each entry checked first.
const fn checked_map(name: &'static str, check: Check) -> Field {
    field(name, Shape::Map { pairs: Pairs::Kept, check: Some(check) })
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the checks")]
fn anything(_: &Pool, _: &str, _: &str) -> Outcome<()> {
    Ok(())
}

impl Field {
    const fn expensive(mut self) -> Self {
        self.expensive = true;
        self
    }

    const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    const fn caseless(mut self) -> Self {
        self.caseless = true;
        self
    }

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
fn referring(pool: &Pool, class: Class, name: &'static str, row: &Row) -> Vec<String> {
    pool.referring_uuids(class, name, &row.uuid)
}

/// An integer value (xapi `records.ml` `safe_i64_of_string`).
fn integer(name: &str, value: &str) -> Outcome<i64> {
    value
        .parse()
        .map_err(|_| Fail::Record(format!("Failed to parse parameter '{name}': expecting an integer")))
}

/// A yes or no that must be `true` or `false` (xapi `records.ml` `safe_bool_of_string`).
fn flag(name: &str, value: &str) -> Outcome<bool> {
    value.parse().map_err(|_| {
        Fail::Record(format!("Failed to parse parameter '{name}': expecting a boolean (true or false)"))
    })
}

/// A size in bytes.
fn size(name: &str, value: &str) -> Outcome<i64> {
    bytes(name, value)
}

/// One of some words, whatever their case, each with what it is kept as.
fn word(
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
fn expected(words: &[(&str, &str)], value: &str) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("'{word}'")).collect();
    format!("Expected one of {}, got {value}", words.join(", "))
}
