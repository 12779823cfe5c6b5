//! XAPI consoles.

use super::{Uuid, Xe};
use crate::report::Result;

/// The VM's text console, if it has one (protocol `vt100`).
pub fn text_console(xe: &Xe, vm: &Uuid) -> Result<Option<Uuid>> {
    let filter = [("vm-uuid", vm.to_string())];
    let filter: Vec<(&str, &str)> = filter.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let consoles = xe.list("console", &["uuid", "protocol"], &filter, |record| {
        Ok((record.get("uuid")?, record.text("protocol").eq_ignore_ascii_case("vt100")))
    })?;
    Ok(consoles.into_iter().find(|(_, is_text)| *is_text).map(|(uuid, _)| uuid))
}
