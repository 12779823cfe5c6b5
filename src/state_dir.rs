//! The directory for files that outlive one run of the program: locks, pid files, what monitoring saves, keys.
//!
//! It is STATE_DIR, else for root `/var/run/one-xcp`, else `one-xcp-UID` in the folder for temporary files; where
//! TMPDIR is set, also for root. It belongs to this user alone (0700). A file in it is used only if it is a plain
//! file of this user with one link: whatever else is found under its name is somebody else's, and refused.
//! Nothing here waits for another program: a FIFO is refused like a link.

use crate::report::Result;
use anyhow::{Context, anyhow, ensure};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Root's directory: nobody else can write beside it. Old releases of dom0 have no `/run`.
const OF_ROOT: &str = "/var/run/one-xcp";

/// No file of ours is larger.
const MAX_BYTES: u64 = 64 << 20;

/// STATE_DIR, as the settings of this run give it.
static SETTING: OnceLock<PathBuf> = OnceLock::new();

/// Takes over the setting STATE_DIR. The first call counts.
pub fn set(path: &str) {
    _ = SETTING.set(PathBuf::from(path));
}

/// Where the directory is.
pub fn path() -> PathBuf {
    let uid = geteuid();
    match (SETTING.get(), env::var_os("TMPDIR").filter(|folder| !folder.is_empty())) {
        (Some(path), _) => path.clone(),
        (None, None) if uid.is_root() => OF_ROOT.into(),
        (None, _) => env::temp_dir().join(format!("one-xcp-{}", uid.as_raw())),
    }
}

/// A directory or file under a name of ours that somebody else has, or could have, put there.
#[derive(Debug)]
pub struct NotOurs(String);

impl std::fmt::Display for NotOurs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotOurs {}

/// Whether `error` means that somebody else interferes, not that there is no room or no such folder.
pub fn is_not_ours(error: &anyhow::Error) -> bool {
    error.downcast_ref::<NotOurs>().is_some()
}

/// An open directory. What happens to its name afterwards changes nothing.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    fd: Arc<OwnedFd>,
}

impl StateDir {
    /// This user's own, made if it is not there.
    pub fn open() -> Result<StateDir> {
        StateDir::at(&path())
    }

    /// The same at another place. An error that [`is_not_ours`] if it is not this user's alone.
    pub fn at(path: &Path) -> Result<StateDir> {
        let shown = path.display();
        ensure!(path.is_absolute(), NotOurs(format!("STATE_DIR is {shown}: it must be an absolute path")));
        match mkdirat(rustix::fs::CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(why) => return Err(why).with_context(|| format!("cannot make {shown}")),
        }
        let dir = StateDir::of_folder(path)?;
        let found = fstat(&dir.fd)?;
        let is_private = found.st_uid == geteuid().as_raw() && found.st_mode & 0o022 == 0;
        ensure!(is_private, NotOurs(not_private(path)));
        Ok(dir)
    }

    /// The folder for temporary files, where earlier versions had theirs.
    pub fn of_earlier_versions() -> Result<StateDir> {
        StateDir::of_folder(&env::temp_dir())
    }

    /// A folder that others may write to: each of its files is looked at as in a directory of our own.
    pub fn of_folder(path: &Path) -> Result<StateDir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(rustix::fs::CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(StateDir { path: path.to_owned(), fd: Arc::new(fd) }),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Err(anyhow!(NotOurs(not_private(path)))),
            Err(why) => Err(why).with_context(|| format!("cannot open {}", path.display())),
        }
    }

    /// Where a file of this name is, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file; None if there is none and `flags` do not make one.
    pub fn open_file(&self, name: &str, flags: OFlags) -> Result<Option<File>> {
        let path = || self.path_of(name).display().to_string();
        let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name, flags | safe, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) if !flags.contains(OFlags::CREATE) => return Ok(None),
            // A link, a socket or a FIFO without a reader, a directory, a file that is not ours.
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR | Errno::ACCESS | Errno::PERM) => {
                return Err(anyhow!(NotOurs(not_our_file(&path()))));
            }
            Err(why) => return Err(why).with_context(|| format!("cannot open {}", path())),
        };
        let found = fstat(&file).with_context(|| format!("cannot look at {}", path()))?;
        ensure!(is_our_file(&found), NotOurs(not_our_file(&path())));
        Ok(Some(file))
    }

    /// The text of a file; None if there is none.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let Some(file) = self.open_file(name, OFlags::RDONLY)? else { return Ok(None) };
        let mut text = String::new();
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", self.path_of(name).display()))?;
        Ok(Some(text))
    }

    /// Replaces a file as a whole: a reader sees the old text or the new.
    pub fn replace(&self, name: &str, text: &str) -> Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = format!(".new-{}-{number}-{name}", std::process::id());
        let write = || -> Result<()> {
            // A killed program of the same number may have left it.
            _ = unlinkat(&self.fd, &new, AtFlags::empty());
            let file = self.open_file(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
            file.context("it cannot be made")?.write_all(text.as_bytes())?;
            Ok(self.rename(&new, name)?)
        };
        write()
            .inspect_err(|_| _ = unlinkat(&self.fd, &new, AtFlags::empty()))
            .with_context(|| format!("cannot write {}", self.path_of(name).display()))
    }

    /// Gives a file another name, in the place of what has it.
    pub fn rename(&self, old: &str, new: &str) -> std::io::Result<()> {
        Ok(renameat(&self.fd, old, &self.fd, new)?)
    }

    /// Removes a file; it may be gone already.
    pub fn remove(&self, name: &str) {
        _ = unlinkat(&self.fd, name, AtFlags::empty());
    }

    /// Whether `file` is still what has this name.
    pub fn is_named(&self, name: &str, file: &File) -> bool {
        let there = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let (Ok(there), Ok(ours)) = (there, fstat(file)) else { return false };
        (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
    }

    /// The names in it.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.fd) else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned())).collect()
    }
}

fn is_our_file(found: &Stat) -> bool {
    // No link at all: another of our programs has just removed it.
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && found.st_uid == geteuid().as_raw()
        && found.st_nlink <= 1
        && found.st_mode & 0o022 == 0
}

fn not_our_file(path: &str) -> String {
    format!("{path} is not a plain file of this user's own: look who has put it there, and remove it")
}

fn not_private(path: &Path) -> String {
    format!(
        "{} is not a directory of this user alone: remove it, or name another in STATE_DIR",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn dir() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::at(&folder.path().join("state")).unwrap();
        (folder, dir)
    }

    #[test]
    fn what_is_not_a_plain_file_of_ours_is_refused_at_once() {
        let (folder, dir) = dir();
        let target = folder.path().join("target");
        fs::write(&target, "kept").unwrap();
        symlink(&target, dir.path_of("link")).unwrap();
        fs::hard_link(&target, dir.path_of("hard")).unwrap();
        fs::create_dir(dir.path_of("directory")).unwrap();
        rustix::fs::mkfifoat(&dir.fd, "fifo", Mode::RUSR | Mode::WUSR).unwrap();
        fs::write(dir.path_of("open"), "anybody's").unwrap();
        fs::set_permissions(dir.path_of("open"), fs::Permissions::from_mode(0o666)).unwrap();
        for name in ["link", "hard", "directory", "fifo", "open"] {
            for flags in [OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR | OFlags::CREATE] {
                let error = dir.open_file(name, flags).unwrap_err();
                assert!(is_not_ours(&error), "{name} {flags:?}: {error:#}");
            }
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        for name in ["link", "hard", "fifo", "open"] {
            dir.replace(name, "new").unwrap();
            assert_eq!(dir.read(name).unwrap().as_deref(), Some("new"));
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    }

    #[test]
    fn a_directory_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        symlink(folder.path(), &path).unwrap();
        assert!(is_not_ours(&StateDir::at(&path).unwrap_err()));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(is_not_ours(&StateDir::at(&path).unwrap_err()));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(is_not_ours(&StateDir::at(&path).unwrap_err()));
        assert!(is_not_ours(&StateDir::at(Path::new("state")).unwrap_err()));
        assert!(!is_not_ours(&StateDir::at(&folder.path().join("no/such")).unwrap_err()));
        if geteuid().is_root() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(is_not_ours(&StateDir::at(&path).unwrap_err()));
        }
    }

    #[test]
    fn a_file_is_made_read_listed_and_removed() {
        let (_folder, dir) = dir();
        assert_eq!(dir.read("a").unwrap(), None);
        dir.replace("a", "text").unwrap();
        assert_eq!(dir.read("a").unwrap().as_deref(), Some("text"));
        let mode = fs::metadata(dir.path_of("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(dir.names().contains(&"a".to_owned()));
        dir.remove("a");
        assert_eq!(dir.names(), [".", ".."]);
    }
}
