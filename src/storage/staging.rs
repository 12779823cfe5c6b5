//! Files in STAGING_DIR, for what cannot be done as a stream. They never have a name (`open(2)`, O_TMPFILE; on a file
//! system without it the name goes at once): a killed script leaves none, and nobody can put a link in their place.

use crate::report::Result;
use anyhow::{Context, ensure};
use rustix::fs::fstatvfs;
use rustix::process::geteuid;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

/// How directories begin, and files of the releases that gave them names.
const PREFIX: &str = "one-xcp-";
/// So much longer than the script may take does a directory stay: the marketplace's driver sends what is in it.
const DIRECTORY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// So much of the file system is left free, or a twentieth of a small one.
const RESERVE_BYTES: u64 = 1 << 30;

/// Makes sure that the file system of a staged file does not fill up: others use STAGING_DIR, too.
pub fn has_room(file: &File) -> Result<()> {
    let space = fstatvfs(file).context("cannot ask for the free space of STAGING_DIR")?;
    let reserve = RESERVE_BYTES.min(space.f_blocks.saturating_mul(space.f_frsize) / 20);
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    ensure!(
        free > reserve,
        "STAGING_DIR has {} MB left, of which {} stay free: make room or set another STAGING_DIR",
        free >> 20,
        reserve >> 20
    );
    Ok(())
}

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

/// A directory in `folder` that only this user may enter, for files that other programs of this user read by their name.
/// One that an earlier call left is taken, if it is ours; tells whether it is new. One that nobody has removed goes as in
/// [`Staged::new`].
///
/// # Errors
///
/// Somebody else has put something there.
pub fn private_dir(folder: &Path, name: &str, limit: Duration) -> Result<(PathBuf, bool)> {
    clear(folder, limit);
    let path = folder.join(format!("{PREFIX}{name}"));
    let cannot = || format!("cannot make a directory in STAGING_DIR {}", folder.display());
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => Ok((path, true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(&path).with_context(cannot)?;
            ensure!(
                found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o700,
                "{} is not a directory of this user alone: look who has put it there, and remove it",
                path.display()
            );
            Ok((path, false))
        }
        Err(error) => Err(error).with_context(cannot),
    }
}

fn clear(folder: &Path, limit: Duration) {
    let now = SystemTime::now();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Of the entry itself, not of what a link there leads to.
        let Ok(about) = entry.metadata() else { continue };
        let age = about.modified().ok().and_then(|changed| now.duration_since(changed).ok());
        let is_older = |limit: Duration| age.is_some_and(|age| age > limit);
        if about.uid() != geteuid().as_raw() {
            continue;
        }
        // What cannot be removed matters less than the new file.
        if about.is_file() && is_older(limit) {
            _ = fs::remove_file(entry.path());
        } else if about.is_dir() && is_older(limit.saturating_add(DIRECTORY_KEPT)) {
            _ = fs::remove_dir_all(entry.path());
        }
    }
}
