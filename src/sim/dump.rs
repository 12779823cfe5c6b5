//! The whole state in a stable order, so that two dumps can be compared.

use super::row::Class;
use super::store::Store;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};

/// Prints every object with what is set of it, and what the VDIs hold as size and digest. Counters, the clock
/// and the log are left out.
pub fn dump(store: &Store) -> Result<String> {
    let pool = store.read()?;
    let mut text = String::new();
    for class in Class::ALL {
        for row in pool.rows(class) {
            writeln!(text, "{} {}", class.api_name(), row.uuid)?;
            let mut attributes: Vec<_> = row.attributes().iter().collect();
            attributes.sort();
            // The number of the host's next domain is a counter, too.
            for (name, value) in attributes.into_iter().filter(|(name, _)| *name != "sim-domains") {
                writeln!(text, "    {name} = {value:?}")?;
            }
            if class == Class::Vdi {
                writeln!(text, "    bytes = {}", digest(store, &row.uuid)?)?;
            }
        }
    }
    Ok(text)
}

/// Length and 64-bit FNV-1a digest of a VDI's bytes; trailing zeros do not count.
fn digest(store: &Store, uuid: &str) -> Result<String> {
    let path = store.vdi_file(uuid);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("none".into()),
        file => file.with_context(|| format!("cannot open {}", path.display()))?,
    };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut length = 0_u64;
    let mut zeros = 0_u64;
    let mut block = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut block)?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { break };
        if read.iter().all(|&byte| byte == 0) {
            zeros += u64::try_from(count)?;
            continue;
        }
        for byte in zeros.to_le_bytes().iter().chain(read) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        length += zeros + u64::try_from(count)?;
        zeros = 0;
    }
    Ok(if length == 0 { "none".into() } else { format!("{length} {hash:016x}") })
}
