//! A copy of everything in a host's folder, and putting it back: done hundreds of times by one test, so without a
//! program for it, and links that are as they were stay.

use super::Host;
use rustix::fs::{CWD, FileType, Mode, SeekFrom, mknodat, seek};
use std::collections::HashMap;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A copy of everything in a host's folder.
pub struct Kept(tempfile::TempDir);

impl Host {
    /// Keeps the pool and all files as they are now.
    pub fn keep(&self) -> Kept {
        let kept = tempfile::tempdir().unwrap();
        copy(self.dir.path(), kept.path());
        Kept(kept)
    }

    /// Another host just like it, at its own place, for doing something to both at the same time.
    pub fn copy(&self) -> Host {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        Host { dir, settings: self.settings.clone() }
    }

    /// Puts the pool and all files back as they were kept.
    pub fn put_back(&self, kept: &Kept) {
        copy(kept.0.path(), self.dir.path());
    }
}

/// Makes the folder `to` like the folder `from`.
fn copy(from: &Path, to: &Path) {
    copy_folder(from, to, &mut HashMap::new());
}

/// `links` are the files with several names, by their inode, and where they are already.
fn copy_folder(from: &Path, to: &Path, links: &mut HashMap<u64, PathBuf>) {
    for entry in fs::read_dir(to).unwrap() {
        let (there, here) = pair(&entry.unwrap(), from);
        if !is_same_kind(&there, &here) {
            remove(&there);
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = pair(&entry.unwrap(), to);
        let about = source.symlink_metadata().unwrap();
        let kind = about.file_type();
        if kind.is_dir() {
            if !target.exists() {
                fs::create_dir(&target).unwrap();
            }
            fs::set_permissions(&target, about.permissions()).unwrap();
            copy_folder(&source, &target, links);
        } else if kind.is_symlink() {
            if target.symlink_metadata().is_err() {
                symlink(fs::read_link(&source).unwrap(), &target).unwrap();
            }
        } else if let Some(first) = links.get(&about.ino()) {
            fs::hard_link(first, &target).unwrap();
        } else {
            if kind.is_file() {
                copy_file(&source, &target, &about).unwrap();
            } else {
                let kind = if kind.is_fifo() { FileType::Fifo } else { FileType::Socket };
                mknodat(CWD, &target, kind, Mode::from_raw_mode(about.mode() & 0o7777), 0).unwrap();
            }
            if about.nlink() > 1 {
                links.insert(about.ino(), target);
            }
        }
    }
}

fn pair(entry: &fs::DirEntry, other: &Path) -> (PathBuf, PathBuf) {
    (entry.path(), other.join(entry.file_name()))
}

/// Both are folders, or links to the same place. Files are copied again, whatever they hold.
fn is_same_kind(one: &Path, other: &Path) -> bool {
    let kind = |path: &Path| path.symlink_metadata().ok().map(|about| about.file_type());
    match (kind(one), kind(other)) {
        (Some(one), Some(other)) if one.is_dir() && other.is_dir() => true,
        (Some(first), Some(second)) if first.is_symlink() && second.is_symlink() => {
            fs::read_link(one).unwrap() == fs::read_link(other).unwrap()
        }
        _ => false,
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// Holes stay holes.
fn copy_file(source: &Path, target: &Path, about: &Metadata) -> io::Result<()> {
    let mode = about.permissions().mode();
    let mut from = File::open(source)?;
    let mut to = File::options().write(true).create_new(true).mode(mode).open(target)?;
    to.set_len(about.len())?;
    let mut end = 0;
    while let Ok(data) = seek(&from, SeekFrom::Data(end)) {
        end = seek(&from, SeekFrom::Hole(data))?;
        from.seek(io::SeekFrom::Start(data))?;
        to.seek(io::SeekFrom::Start(data))?;
        io::copy(&mut Read::by_ref(&mut from).take(end - data), &mut to)?;
    }
    to.set_permissions(about.permissions())?;
    to.set_times(FileTimes::new().set_modified(about.modified()?).set_accessed(about.accessed()?))
}
