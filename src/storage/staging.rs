//! Files in STAGING_DIR, for what cannot be done as a stream. They have no names for longer than another program
//! needs to fill them, so that a killed script leaves none.

use crate::report::Result;
use anyhow::Context;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

const PREFIX: &str = "one-xcp-";

/// A new empty file in `folder`. What a killed script has left there goes: files that nobody has written to for as
/// long as `limit`, in which a script would have ended.
pub fn file(folder: &Path, limit: Duration) -> Result<NamedTempFile> {
    clear(folder, limit);
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(folder)
        .with_context(|| format!("cannot make a file in STAGING_DIR {}", folder.display()))
}

fn clear(folder: &Path, limit: Duration) {
    let now = SystemTime::now();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = file.file_name().to_string_lossy().starts_with(PREFIX);
        let changed =
            file.metadata().ok().filter(fs::Metadata::is_file).and_then(|about| about.modified().ok());
        let is_old =
            changed.and_then(|changed| now.duration_since(changed).ok()).is_some_and(|age| age > limit);
        if is_ours && is_old {
            // It may be another user's; the new file matters more.
            _ = fs::remove_file(file.path());
        }
    }
}
