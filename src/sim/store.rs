//! The state file: the pool as lines of text, one a row, read and replaced under a lock.

use super::pool::{Bytes, Pool};
use super::row::{Class, Row, Text};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, SeekFrom, flock, seek};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const HEADING: &str = "one-xcp simulated pool 1";

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
            for bytes in std::mem::take(&mut pool.bytes) {
                match bytes {
                    Bytes::Copy(from, to) => copy_sparse(&self.vdi_file(&from), &self.vdi_file(&to))?,
                    Bytes::Delete(uuid) => {
                        let _ = fs::remove_file(self.vdi_file(&uuid));
                    }
                }
            }
            self.save(&pool)?;
        }
        Ok(answer)
    }

    /// Makes the state file anew, whatever was there.
    pub fn make(&self, pool: &Pool) -> Result<()> {
        let _lock = self.lock(FlockOperation::LockExclusive)?;
        let _ = fs::remove_dir_all(self.beside(".vdi"));
        for suffix in [".log", ".faults"] {
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
    pub fn wait_until(&self, mut holds: impl FnMut(&Pool) -> bool) -> Result<()> {
        loop {
            let version = self.version();
            if holds(&self.read()?) {
                return Ok(());
            }
            while self.version() == version {
                thread::sleep(Duration::from_millis(50));
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
        parse(Box::leak(text.into_boxed_str())).with_context(|| format!("{} is damaged", self.path.display()))
    }

    fn save(&self, pool: &Pool) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .with_context(|| format!("cannot write beside {}", self.path.display()))?;
        file.write_all(print(pool).as_bytes())?;
        file.persist(&self.path).with_context(|| format!("cannot replace {}", self.path.display()))?;
        Ok(())
    }
}

/// Copies the data of a file but not its holes; a VDI without a file is all zeros.
fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        source => source.with_context(|| format!("cannot open {}", from.display()))?,
    };
    let mut copy = File::create(to).with_context(|| format!("cannot make {}", to.display()))?;
    copy.set_len(source.metadata()?.len())?;
    let mut end = 0;
    while let Ok(data) = seek(&source, SeekFrom::Data(end)) {
        end = seek(&source, SeekFrom::Hole(data))?;
        source.seek(io::SeekFrom::Start(data))?;
        copy.seek(io::SeekFrom::Start(data))?;
        io::copy(&mut Read::by_ref(&mut source).take(end - data), &mut copy)?;
    }
    Ok(())
}

fn print(pool: &Pool) -> String {
    let mut text = format!("{HEADING}\tcounter={}\tclock={}\tpassword=", pool.counter, pool.clock);
    escape(&pool.password, &mut text);
    let _ = writeln!(text, "\tno-tools={}", pool.no_tools);
    for class in Class::ALL {
        for row in pool.rows(class) {
            let _ = write!(text, "{}\t{}", class.api_name(), row.uuid);
            for (name, value) in row.attributes() {
                text.push('\t');
                escape(name, &mut text);
                text.push('=');
                escape(value, &mut text);
            }
            text.push('\n');
        }
    }
    text
}

fn parse(text: &'static str) -> Result<Pool> {
    let mut lines = text.lines();
    let mut heading = lines.next().context("it is empty")?.split('\t');
    if heading.next() != Some(HEADING) {
        bail!("it does not begin with {HEADING:?}");
    }
    let mut pool = Pool::default();
    for part in heading {
        let (name, value) = part.split_once('=').context("its first line is not name=value")?;
        match name {
            "counter" => pool.counter = value.parse()?,
            "clock" => pool.clock = value.parse()?,
            "password" => pool.password = unescape(value).into_owned(),
            "no-tools" => pool.no_tools = value == "true",
            _ => bail!("its first line has an unknown {name}"),
        }
    }
    let mut tables: Vec<(Class, Vec<Row>)> = Class::ALL.map(|class| (class, Vec::new())).into();
    for line in lines {
        let mut parts = line.split('\t');
        let name = parts.next().unwrap_or_default();
        let (class, rows) =
            tables.iter_mut().find(|(class, _)| class.api_name() == name).context("a row has no class")?;
        let mut row = Row::new(*class, parts.next().context("a row has no uuid")?);
        for part in parts {
            let (name, value) = part.split_once('=').context("an attribute is not name=value")?;
            row.keep(unescape(name), unescape(value));
        }
        rows.push(row);
    }
    for (class, rows) in tables {
        pool.load(class, rows);
    }
    Ok(pool)
}

fn escape(value: &str, into: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => into.push_str("\\\\"),
            '\t' => into.push_str("\\t"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '=' => into.push_str("\\e"),
            _ => into.push(letter),
        }
    }
}

fn unescape(value: &'static str) -> Text {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('e') => '=',
                other => other.unwrap_or('\\'),
            },
            _ => letter,
        });
    }
    Cow::Owned(plain)
}

fn with_keep<T>((answer, keep): (T, bool)) -> ((T, bool), bool) {
    ((answer, keep), keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut pool = Pool::default();
        (pool.counter, pool.clock, pool.password) = (3, 9, "a=b\t".into());
        let mut vm = Row::new(Class::Vm, "u");
        vm.set("name-label", "a\tb=c\nd\\e");
        vm.put("other-config", "k=1", "v");
        pool.insert(vm);
        let text = print(&pool);
        let again = parse(Box::leak(text.clone().into_boxed_str())).unwrap();
        assert_eq!(print(&again), text);
        let vm = again.find(Class::Vm, "u").unwrap();
        assert_eq!(vm.get("name-label"), "a\tb=c\nd\\e");
        assert_eq!(vm.entry("other-config", "k=1"), Some("v"));
        assert_eq!(again.password, "a=b\t");
    }

    #[test]
    fn another_file_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("hello\n").is_err());
    }
}
