//! `monitor`: the SR's room, in MB.

use super::Call;
use crate::report::Result;
use crate::storage::MB;
use crate::xe::Xe;
use crate::xe::sr::{self, Sr};
use anyhow::Context;

pub fn run(call: &Call) -> Result<String> {
    room(&call.xe, call.sr_name())
}

/// `USED_MB=… TOTAL_MB=… FREE_MB=…` of the SR of this name, or of the pool's default.
pub fn room(xe: &Xe, sr_name: Option<&str>) -> Result<String> {
    let sr = if let Some(name) = sr_name {
        Sr::named(xe, name).context("XCP_SR")?
    } else {
        let default = sr::pool_default(xe)?;
        let uuid = default.context("the datastore has no XCP_SR, and the pool no default SR")?;
        Sr::named(xe, &uuid.to_string())?
    };
    let (total, used) = (sr.physical_size_bytes / MB, sr.physical_utilisation_bytes.div_ceil(MB));
    Ok(format!("USED_MB={used}\nTOTAL_MB={total}\nFREE_MB={}", total.saturating_sub(used)))
}
