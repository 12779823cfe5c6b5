//! How full the folders are that hold datastores, for the scheduler. It places no VM on a host that reports no
//! `DS_LOCATION_*`, whatever the datastore: OpenNebula's own probe makes the folder and always reports
//! (`src/im_mad/remotes/node-probes.d/monitor_ds.rb`, `FileUtils.mkdir_p`), and so does this one.

use super::number;
use crate::report::Result;
use anyhow::Context;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The whole location, which is made if the host has none, and each system datastore in it that asks to be
/// watched by a file `.monitor`.
pub fn describe(text: &mut String, location: &Path) -> Result<()> {
    fs::create_dir_all(location).with_context(|| {
        format!(
            "cannot make the folder of the datastores, {}: make it, or set DATASTORE_LOCATION",
            location.display()
        )
    })?;
    let (used, total, free) = room_mb(location)?;
    number(text, "DS_LOCATION_USED_MB", used);
    number(text, "DS_LOCATION_TOTAL_MB", total);
    number(text, "DS_LOCATION_FREE_MB", free);
    for folder in fs::read_dir(location).with_context(|| format!("cannot read {}", location.display()))? {
        let folder = folder?.path();
        let id = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        let Some(id) = id.filter(|_| folder.join(".monitor").is_file()) else { continue };
        // A mount that no longer answers is one datastore without room, and not a host in error.
        let (used, total, free) = room_mb(&folder).unwrap_or_default();
        _ = writeln!(text, "DS = [ ID={id}, USED_MB={used}, TOTAL_MB={total}, FREE_MB={free} ]");
    }
    Ok(())
}

/// Used, total and free space of the file system a folder is on, in MB.
fn room_mb(folder: &Path) -> Result<(u64, u64, u64)> {
    let stat = rustix::fs::statvfs(folder)
        .with_context(|| format!("cannot ask how full {} is", folder.display()))?;
    let mb = |blocks: u64| blocks * stat.f_frsize / (1 << 20);
    let total = mb(stat.f_blocks);
    Ok((total - mb(stat.f_bfree), total, mb(stat.f_bavail)))
}
