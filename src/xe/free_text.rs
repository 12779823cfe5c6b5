//! What tenants and guests wrote: a VM's name, its guest's addresses. Such text may hold line breaks, and so
//! whole records of others; it is never read out of a list of records.

use super::{Uuid, Xe};
use crate::report::Result;
use std::collections::HashMap;

/// A field of the VMs that `filters` leave, in two calls. `listed` are their uuids in the order in which a list
/// with the same filters has just given them.
///
/// The values come without uuids, in the order of the list; a value cannot pass for two. The list is asked once
/// more after them: if it is another one, it is not certain whose values they are, and there is no answer.
pub fn of_vms(
    xe: &Xe,
    field: &str,
    filters: &[(&str, &str)],
    listed: &[Uuid],
) -> Result<Option<HashMap<Uuid, String>>> {
    if listed.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    let values = xe.values("vm", field, filters)?;
    let again = xe.values("vm", "uuid", filters)?;
    let same = again.iter().map(|uuid| uuid.parse().ok()).eq(listed.iter().cloned().map(Some));
    Ok((same && values.len() == listed.len()).then(|| listed.iter().cloned().zip(values).collect()))
}
