//! The checkpoint file that `save` leaves for `restore`. A VM's memory stays in XAPI's suspend SR; what
//! OpenNebula moves about is a few lines that tell whose memory it is and where.

use crate::one::{Conf, Message};
use crate::report::Result;
use crate::xe::Uuid;
use anyhow::{Context, bail, ensure};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const HEAD: &str = "one-xcp checkpoint ";
const VERSION: u32 = 1;

/// No checkpoint of ours is longer; those of other drivers are gigabytes.
const LONGEST_BYTES: u64 = 4096;

/// A suspended VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub vm: Uuid,
    /// The VDI with its memory. Each suspension makes a new one.
    pub memory: Uuid,
}

impl Checkpoint {
    /// The file's text: a line a fact, and a check over all of them.
    pub fn text(&self) -> String {
        let facts = format!("{HEAD}{VERSION}\nvm {}\nmemory {}\n", self.vm, self.memory);
        format!("{facts}check {:016x}\n", check(&facts))
    }

    /// Reads what [`Checkpoint::text`] wrote.
    pub fn parse(text: &str) -> Result<Checkpoint> {
        ensure!(!text.trim().is_empty(), "it is empty");
        let Some(version) = text.lines().next().and_then(|line| line.strip_prefix(HEAD)) else {
            bail!("it is none of this driver's");
        };
        ensure!(version == VERSION.to_string(), "it is of another release, version {version}");
        let (facts, said) = text.split_once("check ").context("its end is missing")?;
        ensure!(said.trim_end() == format!("{:016x}", check(facts)), "it is damaged");
        let fact = |name: &str| -> Result<Uuid> {
            let line = facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.with_context(|| format!("it has no {name}"))?.parse()
        };
        Ok(Checkpoint { vm: fact("vm")?, memory: fact("memory")? })
    }

    /// None if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Checkpoint>> {
        let cannot_read = || format!("cannot read the checkpoint {}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(cannot_read),
        };
        let mut text = Vec::new();
        file.take(LONGEST_BYTES).read_to_end(&mut text).with_context(cannot_read)?;
        Checkpoint::parse(&String::from_utf8_lossy(&text))
            .map(Some)
            .with_context(|| format!("the checkpoint {} cannot be used", path.display()))
    }
}

/// FNV-1a, 64 bits: it tells a damaged file, and guards against nobody.
fn check(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The file's place on this machine: where OpenNebula says, or in the VM's folder below DATASTORE_LOCATION.
pub fn path(conf: &Conf, message: Option<&Message>, said: &Path) -> Result<PathBuf> {
    let name = said.file_name().with_context(|| format!("{} names no checkpoint file", said.display()))?;
    let folder =
        message.map(|message| &message.vm).and_then(|vm| conf.vm_folder(vm.ds_id, vm.vm_id, said.parent()));
    Ok(folder.map_or_else(|| said.to_owned(), |folder| folder.join(name)))
}

/// The place for a checkpoint, found to be there before the VM is suspended for it.
pub struct Place {
    file: NamedTempFile,
    path: PathBuf,
}

impl Place {
    pub fn make(path: PathBuf) -> Result<Place> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .prefix(".checkpoint")
            .tempfile_in(folder)
            .with_context(|| format!("cannot write the checkpoint {}", path.display()))?;
        Ok(Place { file, path })
    }

    /// Whole or not at all, also when the machine stops in the middle.
    pub fn write(mut self, checkpoint: &Checkpoint) -> Result<()> {
        let path = self.path;
        let mut write = || -> io::Result<()> {
            self.file.write_all(checkpoint.text().as_bytes())?;
            self.file.as_file().sync_all()
        };
        write().with_context(|| format!("cannot write the checkpoint {}", path.display()))?;
        self.file
            .persist(&path)
            .with_context(|| format!("cannot write the checkpoint {}", path.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Checkpoint;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            vm: "11111111-2222-3333-4444-000000000001".parse().unwrap(),
            memory: "11111111-2222-3333-4444-000000000002".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Checkpoint::parse(&checkpoint().text()).unwrap(), checkpoint());
    }

    #[test]
    fn whatever_is_cut_off_or_changed_is_found_out() {
        let text = checkpoint().text();
        for end in 0..text.len() - 1 {
            assert!(Checkpoint::parse(&text[..end]).is_err(), "{end}");
        }
        for (old, new) in [
            ("0001", "0003"),
            ("checkpoint 1", "checkpoint 2"),
            ("memory", "memo"),
            ("one-", "LibvirtQemudSave"),
        ] {
            assert!(Checkpoint::parse(&text.replacen(old, new, 1)).is_err(), "{new}");
        }
    }
}
