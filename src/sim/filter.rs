//! Finding records by the values of their fields (xapi `cli_operations.ml` `filter_records_on_fields`).

use super::fields::{Field, Shape};
use super::listed::Listed;
use super::pool::Pool;
use super::refuse::{Fail, Outcome, cli};
use super::row::Row;

/// What a `key` of the command line means for a class.
pub enum Meant<'k> {
    One(&'static Field),
    Set(&'static Field, &'k str),
    Map(&'static Field, &'k str),
}

/// Reads a key: a field's name, `field:key`, or `field-key` as of old (xapi `get_field_type`).
pub fn meant<'k>(fields: &'static [Field], key: &'k str) -> Outcome<Meant<'k>> {
    if let Some(field) = fields.iter().find(|field| field.name == key) {
        return Ok(Meant::One(field));
    }
    let unknown = || Fail::Cli(format!("Unknown field '{key}'"));
    if let Some((name, entry)) = key.split_once(':') {
        let field = fields.iter().find(|field| field.name == name).ok_or_else(unknown)?;
        return match field.shape {
            Shape::Set { .. } => Ok(Meant::Set(field, entry)),
            Shape::Map { .. } => Ok(Meant::Map(field, entry)),
            Shape::One { .. } => cli(format!("Field '{name}' is not a set or map")),
        };
    }
    let longest = |wanted: fn(&Shape) -> bool| {
        let fitting = fields.iter().filter(|field| wanted(&field.shape)).filter_map(|field| {
            let entry = key.strip_prefix(field.name)?.strip_prefix('-')?;
            Some((field, entry))
        });
        fitting.max_by_key(|(field, _)| field.name.len())
    };
    if let Some((field, entry)) = longest(|shape| matches!(shape, Shape::Map { .. })) {
        return Ok(Meant::Map(field, entry));
    }
    let (field, entry) = longest(|shape| matches!(shape, Shape::Set { .. })).ok_or_else(unknown)?;
    Ok(Meant::Set(field, entry))
}

/// Keeps the rows that have `value` under `key`. Nobody looks at the key once no row is left.
pub fn filter<'p>(
    pool: &'p Pool,
    fields: &'static [Field],
    rows: Vec<&'p Row>,
    key: &str,
    value: &str,
) -> Outcome<Vec<&'p Row>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let same = |field: &Field, a: &str, b: &str| a == b || field.caseless && a.eq_ignore_ascii_case(b);
    let fits: Box<dyn Fn(&Row) -> bool> = match meant(fields, key)? {
        Meant::One(field) => Box::new(move |row| same(field, &field.value(pool, row), value)),
        Meant::Map(field, entry) => Box::new(move |row| {
            let pairs = field.pairs(pool, row).unwrap_or_default();
            pairs
                .iter()
                .find(|(key, _)| same(field, key, entry))
                .is_some_and(|(_, held)| same(field, held, value))
        }),
        Meant::Set(field, "contains") => Box::new(move |row| {
            field.members(pool, row).unwrap_or_default().iter().any(|member| same(field, member, value))
        }),
        Meant::Set(..) => {
            return cli("Invalid syntax for set filtering (should be set-param:contains=key)");
        }
    };
    Ok(rows.into_iter().filter(|row| fits(row)).collect())
}

/// The rows of a list that all of `filters` let pass.
pub fn select<'p, 'f>(
    pool: &'p Pool,
    listed: &Listed,
    filters: impl Iterator<Item = (&'f str, &'f str)>,
) -> Outcome<Vec<&'p Row>> {
    let mut rows: Vec<&Row> = pool.rows(listed.class).iter().collect();
    for (key, value) in listed.filters.iter().copied().chain(filters) {
        rows = filter(pool, listed.fields, rows, key, value)?;
    }
    Ok(rows)
}
