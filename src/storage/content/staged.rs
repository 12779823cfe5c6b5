//! Images that must be in a file before they can be read: in the staging folder, gone with their last reader.

use super::{Content, Source};
use crate::image::{Format, Image, is_zero};
use crate::producer::Producer;
use crate::report::Result;
use crate::storage::staging::Staged;
use anyhow::Context;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{ChildStdout, Command};

impl Source<'_> {
    /// Into a file without holes' zeros; it is gone again when the image is done or anything fails.
    pub(super) fn stage(&self, producer: Producer, head: &[u8], from: ChildStdout) -> Result<Staged> {
        let staged = self.staged_file()?;
        write_sparse(head, from, staged.file())
            .with_context(|| format!("cannot stage {} in {}", self.path, self.staging_dir.display()))?;
        producer.finish()?;
        Ok(staged)
    }

    fn staged_file(&self) -> Result<Staged> {
        Staged::new(self.staging_dir, self.limit)
    }

    /// VMDK is left to qemu-img, which knows its many kinds.
    pub(super) fn open_vmdk(&self, path: &Path) -> Result<Content> {
        let staged = self.staged_file()?;
        let mut command = Command::new("qemu-img");
        command.args(["convert", "-q", "-f", "vmdk", "-O", "raw"]).arg(path).arg(staged.path());
        let (converting, mut said) = Producer::start(&mut command, self.limit, self.stop)
            .context("a VMDK image needs qemu-img on the machine this script runs on")?;
        std::io::copy(&mut said, &mut std::io::sink())?;
        converting.finish()?;
        let image = Image::open_as(&staged.path(), Format::Raw)?;
        Ok(Content::Image { image })
    }
}

fn write_sparse(head: &[u8], from: impl Read, mut file: &File) -> Result<()> {
    let mut from = head.chain(from);
    let mut chunk = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let count = (&mut from).take(chunk.len() as u64).read(&mut chunk)?;
        let Some(data) = chunk.get(..count).filter(|data| !data.is_empty()) else { break };
        if is_zero(data) {
            file.seek(SeekFrom::Current(i64::try_from(count)?))?;
        } else {
            file.write_all(data)?;
        }
        size += count as u64;
    }
    Ok(file.set_len(size)?)
}
