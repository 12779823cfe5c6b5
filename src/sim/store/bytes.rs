//! What becomes of VDIs' bytes: files beside the state, one for each disk, and for a tracked one what it held at its
//! last snapshot (`.tracked`) and the blocks changed before that (`.log`).

use super::Store;
use crate::sim::pool::{Bytes, Pool};
use crate::sim::storage::tracking;
use anyhow::{Context, Result};
use rustix::fs::{SeekFrom, seek};
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::Path;

impl Store {
    /// Does to the files what a call has done to the pool.
    pub(super) fn apply(&self, pool: &Pool, change: &Bytes) -> Result<()> {
        let log = |uuid: &str| self.vdi_file(&format!("{uuid}.log"));
        match change {
            Bytes::Copy(from, to) => copy_sparse(&self.vdi_file(from), &self.vdi_file(to))?,
            Bytes::Empty(uuid) => remove(&self.vdi_file(uuid)),
            Bytes::Delete(uuid) => {
                remove(&self.vdi_file(uuid));
                self.untrack(uuid);
            }
            Bytes::Track(uuid) => self.track(uuid)?,
            Bytes::Untrack(uuid) => self.untrack(uuid),
            Bytes::Log(disk, snapshot) => {
                let mut bits = fs::read(log(disk)).unwrap_or_default();
                tracking::merge(&mut bits, &tracking::since_snapshot(pool, disk));
                fs::write(log(snapshot), bits).context("cannot write a log of changed blocks")?;
                remove(&log(disk));
                self.track(disk)?;
            }
            Bytes::Merge(from, into) => {
                let mut bits = fs::read(log(into)).unwrap_or_default();
                tracking::merge(&mut bits, &fs::read(log(from)).unwrap_or_default());
                fs::write(log(into), bits).context("cannot write a log of changed blocks")?;
            }
        }
        Ok(())
    }

    /// Keeps what the disk holds now. A disk without a file is all zeros, and so is what is kept of it.
    fn track(&self, uuid: &str) -> Result<()> {
        let kept = self.vdi_file(&format!("{uuid}.tracked"));
        File::create(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
        copy_sparse(&self.vdi_file(uuid), &kept)
    }

    fn untrack(&self, uuid: &str) {
        for kind in ["tracked", "log"] {
            remove(&self.vdi_file(&format!("{uuid}.{kind}")));
        }
    }
}

fn remove(file: &Path) {
    let _ = fs::remove_file(file);
}

/// Copies the data of a file but not its holes; a VDI without a file is all zeros.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
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
