//! What tenants and guests wrote: a VM's name, its guest's addresses. Such text may hold line breaks, and so
//! whole records of others; it is never read out of a list of records.

use super::lists::values_call;
use super::{Uuid, Xe};
use crate::report::Result;
use anyhow::Context;
use std::collections::HashMap;
use std::fmt::Write;

/// A field of the VMs that `filters` leave, in two calls. `listed` are their uuids in the order in which a list
/// with the same filters has just given them.
///
/// The values come without uuids, in the order of the list; a value cannot pass for two. The list is asked once
/// more after them: if it is another one, it is not certain whose values they are, and there is no answer.
///
/// Where answers are shared with other programs these get what was put together here, whatever they have listed
/// themselves.
pub fn of_vms(
    xe: &Xe,
    field: &str,
    filters: &[(&str, &str)],
    listed: &[Uuid],
) -> Result<Option<HashMap<Uuid, String>>> {
    if listed.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    if xe.shared.is_none() {
        let values = in_order(xe, field, filters, listed)?;
        return Ok(values.map(|values| listed.iter().cloned().zip(values).collect()));
    }
    let mut has_changed = false;
    let pairs = values_call("vm", &format!("uuid,{field}"), filters);
    let answer = xe.shared_answer(&pairs, || {
        let values = in_order(xe, field, filters, listed)?;
        has_changed = values.is_none();
        values.map(|values| pack(listed, &values)).context("other VMs meanwhile")
    });
    if has_changed {
        return Ok(None);
    }
    answer.map(|text| Some(unpack(&text)))
}

/// The values of those that are listed, if the list after them is the same.
fn in_order(xe: &Xe, field: &str, filters: &[(&str, &str)], listed: &[Uuid]) -> Result<Option<Vec<String>>> {
    let values = xe.values_now("vm", field, filters)?;
    let again = xe.values_now("vm", "uuid", filters)?;
    let same = again.iter().map(|uuid| uuid.parse().ok()).eq(listed.iter().cloned().map(Some));
    Ok(Some(values).filter(|values| same && values.len() == listed.len()))
}

/// `UUID VALUE` lines, line breaks within a value escaped.
fn pack(vms: &[Uuid], values: &[String]) -> String {
    let mut text = String::new();
    for (vm, value) in vms.iter().zip(values) {
        _ = writeln!(text, "{vm} {}", value.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    text
}

fn unpack(text: &str) -> HashMap<Uuid, String> {
    let pair = |line: &str| {
        let (vm, packed) = line.split_once(' ')?;
        let mut value = String::with_capacity(packed.len());
        let mut chars = packed.chars();
        while let Some(c) = chars.next() {
            value.push(match c {
                '\\' if chars.next()? == 'n' => '\n',
                other => other,
            });
        }
        Some((vm.parse().ok()?, value))
    };
    text.split('\n').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_guest_wrote_stays_its_own() {
        let uuid = |n: u32| format!("00000000-0000-4000-8000-{n:012}").parse::<Uuid>().unwrap();
        let forged = format!("a\n{} mine", uuid(3));
        let values = ["", " b ", &forged, "\\n\n\\", "\r\0\u{fffd}\u{2028}"].map(str::to_owned);
        let vms: Vec<Uuid> = (1..=5).map(uuid).collect();
        let read = unpack(&pack(&vms, &values));
        assert_eq!(read, vms.into_iter().zip(values).collect());
    }
}
