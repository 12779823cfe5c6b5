//! Whether a VDI holds what was sent to it: read back from the storage, and compared block by block.

use crate::image::Checksums;
use crate::report::{self, Result};
use crate::xe::{Uuid, Xe};
use anyhow::{Context, bail};
use std::io::BufReader;

/// Reads the VDI and compares it with the checksums of what was sent.
pub fn check(xe: &Xe, vdi: &Uuid, sent: &Checksums) -> Result<()> {
    let kept = xe
        .export_vhd(vdi, |stdout| Checksums::of_vhd(&mut BufReader::new(stdout)))
        .with_context(|| format!("cannot read VDI {vdi} back"))?;
    match sent.difference(&kept) {
        None => report::info(format!("VDI {vdi} was read back and holds what was sent")),
        Some(at) => bail!(
            "VDI {vdi} does not hold what was sent: the 2 MiB from byte {at} on are other ones: look for what is wrong \
             with its SR"
        ),
    }
    Ok(())
}
