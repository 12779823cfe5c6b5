//! What a field is: how it is got, set and shown.

use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, Row};

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
pub type Entries = Option<Vec<(String, String)>>;

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

pub(super) const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, expensive: false, deprecated: false, hidden: false, caseless: false }
}

/// ` ( RO)`
pub(super) const fn ro(name: &'static str, get: Get) -> Field {
    field(name, Shape::One { get, set: None })
}

/// ` ( RW)`
pub(super) const fn rw(name: &'static str, get: Get, set: Set) -> Field {
    field(name, Shape::One { get, set: Some(set) })
}

/// ` (SRO)`
pub(super) const fn sro(name: &'static str, members: Members) -> Field {
    field(name, Shape::Set { members, separator: "; ", writable: false, whole: false })
}

/// ` (SRW)`, members kept in the row.
pub(super) const fn srw(name: &'static str, separator: &'static str, whole: bool) -> Field {
    field(name, Shape::Set { members: Members::Kept, separator, writable: true, whole })
}

/// ` (MRO)`
pub(super) const fn mro(name: &'static str, pairs: Pairs) -> Field {
    field(name, Shape::Map { pairs, check: None })
}

/// ` (MRW)`, entries kept in the row.
pub(super) const fn mrw(name: &'static str) -> Field {
    field(name, Shape::Map { pairs: Pairs::Kept, check: Some(anything) })
}

/// ` (MRW)`, each entry checked first.
pub(super) const fn checked_map(name: &'static str, check: Check) -> Field {
    field(name, Shape::Map { pairs: Pairs::Kept, check: Some(check) })
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the checks")]
pub(super) fn anything(_: &Pool, _: &str, _: &str) -> Outcome<()> {
    Ok(())
}

impl Field {
    pub(super) const fn expensive(mut self) -> Self {
        self.expensive = true;
        self
    }

    pub(super) const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn caseless(mut self) -> Self {
        self.caseless = true;
        self
    }
}
