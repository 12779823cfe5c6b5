//! The whole state in a stable order, so that two dumps can be compared.

use super::disk_bytes::is_zero;
use super::row::Class;
use super::store::Store;
use anyhow::{Context, Result};
use rustix::fs::{SeekFrom, seek};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Prints every object with what is set of it, and what the VDIs hold as count and digest of their blocks. Counters, the clock,
/// tasks and the log are left out.
pub fn dump(store: &Store) -> Result<String> {
    let pool = store.read()?;
    let mut text = String::new();
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Task) {
        for row in pool.rows(class) {
            writeln!(text, "{} {}", class.api_name(), row.uuid)?;
            let mut attributes: Vec<_> = row.attributes().iter().collect();
            attributes.retain(|(name, _)| !PASSING.contains(&name.as_ref()));
            attributes.sort();
            for (name, value) in attributes {
                writeln!(text, "    {name} = {value:?}")?;
            }
            if class == Class::Vdi {
                writeln!(text, "    bytes = {}", digest(store, &row.uuid)?)?;
            }
        }
    }
    Ok(text)
}

/// What the pool keeps for itself and nobody set: how many domains a host has had, and the mark that XAPI
/// leaves on both sides of a copy.
const PASSING: [&str; 2] = ["sim-domains", "other-config:content_id"];

/// The unit of a digest, in bytes.
const BLOCK: usize = 1 << 16;

/// A digest of a VDI's blocks that are not all zeros, and where they are; how many there are.
fn digest(store: &Store, uuid: &str) -> Result<String> {
    let path = store.vdi_file(uuid);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("none".into()),
        file => file.with_context(|| format!("cannot open {}", path.display()))?,
    };
    let unit = u64::try_from(BLOCK)?;
    let mut digest = Sha256::new();
    let (mut count, mut at) = (0_u64, 0);
    while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
        let start = data / unit * unit;
        let mut block = vec![0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, start + u64::try_from(filled)?)? {
                0 => break,
                read => filled += read,
            }
        }
        at = start + unit;
        if is_zero(&block) {
            continue;
        }
        count += 1;
        digest.update(start.to_le_bytes());
        digest.update(&block);
    }
    if count == 0 {
        return Ok("none".into());
    }
    let digest = digest.finalize().first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
    Ok(format!("{count} blocks {digest:016x}"))
}
