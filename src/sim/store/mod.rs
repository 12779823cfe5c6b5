//! The state file: the pool as lines of text, one a row, read and replaced under a lock.

mod bytes;
mod text;

use super::pool::Pool;
use super::refuse::Outcome;
use super::row::Class;
use super::task;
use anyhow::{Context, Result, bail};
use bytes::copy_sparse;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use text::{parse, print};

/// Where a simulated pool is kept: `PATH`, `PATH.lock`, `PATH.log`, `PATH.faults` and `PATH.vdi/`.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The pool that the environment variable `XE_SIM` names.
    pub fn from_env() -> Result<Self> {
        let path = std::env::var_os("XE_SIM").filter(|path| !path.is_empty());
        Ok(Self { path: path.context("XE_SIM does not name the state file of a simulated pool")?.into() })
    }

    /// Another pool that this one's hosts and clients can reach.
    pub fn add_peer(&self, path: &Path) -> Result<()> {
        let file = self.beside(".peers");
        let mut known = fs::read_to_string(&file).unwrap_or_default();
        let _ = writeln!(known, "{}", path.display());
        fs::write(&file, known).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The other pool that has a host of this name, if this one has none.
    pub fn peer_with_host(&self, name: &str) -> Option<Self> {
        let known = fs::read_to_string(self.beside(".peers")).ok()?;
        if self.read().ok()?.host_called(name).is_some() {
            return None;
        }
        let mut peers = known.lines().map(|path| Self { path: path.into() });
        peers.find(|peer| peer.read().is_ok_and(|pool| pool.host_called(name).is_some()))
    }

    /// Changes two pools, both or neither. They are locked in the order of their paths.
    pub fn change_both<T>(
        &self,
        other: &Self,
        change: impl FnOnce(&mut Pool, &mut Pool) -> (T, bool),
    ) -> Result<T> {
        let nested = |result: Result<(T, bool)>| match result {
            Ok((answer, keep)) => (Ok(answer), keep),
            Err(error) => (Err(error), false),
        };
        if self.path < other.path {
            self.change(|pool| nested(other.change(|other| with_keep(change(pool, other)))))?
        } else {
            other.change(|other| nested(self.change(|pool| with_keep(change(pool, other)))))?
        }
    }

    /// Copies a VDI's bytes into another pool.
    pub fn copy_vdi(&self, vdi: &str, other: &Self, to: &str) -> Result<()> {
        let target = other.vdi_file(to);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        copy_sparse(&self.vdi_file(vdi), &target)
    }

    /// A file beside the state file, `suffix` added to its name.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Where the bytes of a VDI are.
    pub fn vdi_file(&self, uuid: &str) -> PathBuf {
        self.beside(".vdi").join(uuid)
    }

    /// The state file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self, how: FlockOperation) -> Result<File> {
        let path = self.beside(".lock");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        flock(&file, how).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }

    /// Reads the pool; nobody changes it meanwhile.
    pub fn read(&self) -> Result<Pool> {
        let _lock = self.lock_if_made(FlockOperation::LockShared)?;
        self.load()
    }

    fn lock_if_made(&self, how: FlockOperation) -> Result<File> {
        if !self.path.exists() {
            bail!(
                "there is no simulated pool at {} (XE_SIM); `one-xcp sim init` makes one",
                self.path.display()
            );
        }
        self.lock(how)
    }

    /// Changes the pool. It is written back if `change` wants it kept and something has changed.
    pub fn change<T>(&self, change: impl FnOnce(&mut Pool) -> (T, bool)) -> Result<T> {
        let _lock = self.lock_if_made(FlockOperation::LockExclusive)?;
        let mut pool = self.load()?;
        let (answer, keep) = change(&mut pool);
        if keep && pool.is_changed() {
            pool.clock += 1;
            for change in std::mem::take(&mut pool.bytes) {
                self.apply(&pool, &change)?;
            }
            self.save(&pool)?;
        }
        Ok(answer)
    }

    /// Puts an earlier state in the place of the one that is, after `change` has brought it in line with that.
    pub fn go_back(&self, text: String, change: impl FnOnce(&Pool, &mut Pool) -> Result<()>) -> Result<()> {
        let _lock = self.lock_if_made(FlockOperation::LockExclusive)?;
        let before = self.load()?;
        let mut pool = parse(Box::leak(text.into_boxed_str())).context("the earlier state is damaged")?;
        pool.folder = self.beside(".vdi");
        change(&before, &mut pool)?;
        self.save(&pool)
    }

    /// Makes the state file anew, whatever was there.
    pub fn make(&self, pool: &Pool) -> Result<()> {
        let _lock = self.lock(FlockOperation::LockExclusive)?;
        let _ = fs::remove_dir_all(self.beside(".vdi"));
        let _ = fs::remove_dir_all(self.beside(".tasks"));
        for suffix in [".log", ".faults", ".sleeps", ".backoff"] {
            let _ = fs::remove_file(self.beside(suffix));
        }
        fs::create_dir_all(self.beside(".vdi"))?;
        self.save(pool)
    }

    /// Tells one version of the state from the next: every change makes another file.
    pub fn version(&self) -> Option<(u64, i64, i64)> {
        let about = fs::metadata(&self.path).ok()?;
        Some((about.ino(), about.mtime(), about.mtime_nsec()))
    }

    /// Reads the pool, now and after each change of it, until `holds` says so.
    pub fn wait_until(&self, mut holds: impl FnMut(&Pool) -> bool) -> Outcome<()> {
        loop {
            let version = self.version();
            if holds(&self.read()?) {
                return Ok(());
            }
            while self.version() == version {
                task::sleep(Duration::from_millis(50))?;
            }
        }
    }

    /// Runs `work` while no other process does, for the files beside the state.
    pub fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _lock = self.lock_if_made(FlockOperation::LockExclusive)?;
        work()
    }

    fn load(&self) -> Result<Pool> {
        let text = fs::read_to_string(&self.path);
        let text = text.with_context(|| format!("cannot read {}", self.path.display()))?;
        // A process answers one call: the text lives as long as it, and rows point into it.
        let mut pool = parse(Box::leak(text.into_boxed_str()))
            .with_context(|| format!("{} is damaged", self.path.display()))?;
        pool.folder = self.beside(".vdi");
        pool.load(Class::Task, task::rows(self));
        Ok(pool)
    }

    fn save(&self, pool: &Pool) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .with_context(|| format!("cannot write beside {}", self.path.display()))?;
        file.write_all(print(pool).as_bytes())?;
        // A file system writes out what a rename puts in the place of another file; an exchange costs nothing.
        if renameat_with(CWD, file.path(), CWD, &self.path, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
        file.persist(&self.path).with_context(|| format!("cannot replace {}", self.path.display()))?;
        Ok(())
    }
}

fn with_keep<T>((answer, keep): (T, bool)) -> ((T, bool), bool) {
    ((answer, keep), keep)
}
