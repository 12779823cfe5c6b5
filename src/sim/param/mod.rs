//! The verbs that every class has: `…-list` and `…-param-*` (xapi `cli_operations.ml` `make_param_funs`).

mod read;
mod write;

pub use read::{chosen, list, param_get, param_list, record};
pub use write::{param_add, param_clear, param_remove, param_set};

use super::fields::{Field, Shape};
use super::listed::Listed;
use super::refuse::{Fail, Outcome};

fn lookup(listed: &'static Listed, name: &str) -> Outcome<&'static Field> {
    listed.fields.iter().find(|field| field.name == name).ok_or_else(|| Fail::NoField(name.to_owned()))
}

/// Whether a class has anything of a kind to set, add to or clear, and with it the verb.
pub fn has(listed: &Listed, verb: &str) -> bool {
    let any = |wanted: fn(&Field) -> bool| listed.fields.iter().any(wanted);
    match verb {
        "param-set" => any(|field| {
            matches!(
                field.shape,
                Shape::One { set: Some(_), .. }
                    | Shape::Map { check: Some(_), .. }
                    | Shape::Set { whole: true, .. }
            )
        }),
        "param-add" | "param-remove" => any(|field| {
            matches!(field.shape, Shape::Map { check: Some(_), .. } | Shape::Set { writable: true, .. })
        }),
        "param-clear" => any(|field| {
            matches!(field.shape, Shape::One { set: Some(_), .. } | Shape::Map { .. } | Shape::Set { .. })
        }),
        _ => true,
    }
}
