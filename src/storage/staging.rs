//! Files in STAGING_DIR, for what cannot be done as a stream. They never have a name (`open(2)`, O_TMPFILE; on a file
//! system without it the name goes at once): a killed script leaves none, and nobody can put a link in their place.

use crate::report::Result;
use anyhow::Context;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

/// What files were called by releases that gave them names.
const PREFIX: &str = "one-xcp-";

/// A file without a name, gone with its last reader.
pub struct Staged {
    file: File,
}

impl Staged {
    /// A new empty file in `folder`. What an earlier release that was killed has left there goes: files that nobody has
    /// written to for as long as `limit`, in which a script would have ended.
    pub fn new(folder: &Path, limit: Duration) -> Result<Staged> {
        clear(folder, limit);
        let file = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot make a file in STAGING_DIR {}", folder.display()))?;
        Ok(Staged { file })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Opens the same file anew, for as long as this value is there: also in programs that we call (proc(5)).
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd()))
    }
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
