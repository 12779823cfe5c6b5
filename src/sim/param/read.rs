//! `…-list`, `…-param-list` and `…-param-get`.

use super::lookup;
use crate::sim::call::Call;
use crate::sim::fields::{Field, Shape};
use crate::sim::filter::select;
use crate::sim::listed::{Listed, STANDARD};
use crate::sim::pool::Pool;
use crate::sim::print::Record;
use crate::sim::refuse::{Fail, Outcome};
use crate::sim::row::Row;

/// `…-list`
pub fn list(listed: &'static Listed, pool: &Pool, call: &mut Call) -> Outcome<()> {
    let filters = call.command.params.iter().filter(|(key, _)| {
        key != "params" && !STANDARD.contains(&key.as_str()) && !key.starts_with("database:")
    });
    let mut rows = select(pool, listed, filters.map(|(key, value)| (key.as_str(), value.as_str())))?;
    if call.command.flag("all", false)? {
        rows = pool.rows(listed.class).iter().collect();
    }
    let wanted = chosen(call.command.get("params"), listed.shown);
    let records: Vec<Record> =
        rows.iter().map(|row| record(pool, row, listed.fields, wanted.as_deref(), true)).collect();
    call.out.table(&records);
    Ok(())
}

/// The names of the fields that `params=` asks for, none standing for all of them.
pub fn chosen<'n>(params: Option<&'n str>, shown: &[&'n str]) -> Option<Vec<&'n str>> {
    match params {
        Some("all") => None,
        Some(names) => Some(names.split(',').collect()),
        None => Some(shown.to_vec()).filter(|shown| !shown.is_empty()),
    }
}

/// A row as a record to print; a `listing` leaves expensive fields out.
pub fn record(pool: &Pool, row: &Row, fields: &[Field], wanted: Option<&[&str]>, listing: bool) -> Record {
    let shown = fields
        .iter()
        .filter(|field| !field.hidden && wanted.is_none_or(|wanted| wanted.contains(&field.name)));
    let lines = shown.map(|field| {
        let costly = listing && field.expensive;
        (field.label(), if costly { "<expensive field>".into() } else { field.value(pool, row) })
    });
    lines.collect()
}

/// `…-param-list`
pub fn param_list(listed: &'static Listed, pool: &Pool, call: &mut Call) -> Outcome<()> {
    let row = pool.get(listed.class, call.command.need("uuid")?)?;
    let record = record(pool, row, listed.fields, None, false);
    call.out.table(&[record]);
    Ok(())
}

/// `…-param-get`
pub fn param_get(listed: &'static Listed, pool: &Pool, call: &mut Call) -> Outcome<()> {
    let row = pool.get(listed.class, call.command.need("uuid")?)?;
    let field = lookup(listed, call.command.need("param-name")?)?;
    let value = match (call.command.get("param-key"), field.pairs(pool, row), &field.shape) {
        (Some(key), pairs, Shape::Map { .. }) => {
            let found = pairs.unwrap_or_default().into_iter().find(|(known, _)| known == key);
            found.ok_or_else(|| Fail::Cli(format!("Key {key} not found in map")))?.1
        }
        _ => field.value(pool, row),
    };
    call.out.list(&[value]);
    Ok(())
}
