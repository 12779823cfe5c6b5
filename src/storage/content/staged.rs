//! Images that must be in a file before they can be read: in the staging folder, gone with their last reader.

use super::{Content, Source, vmdk};
use crate::image::{Format, Image, MAX_VHD_BYTES, is_zero};
use crate::producer::Producer;
use crate::report::Result;
use crate::storage::MB;
use crate::storage::staging::{Staged, has_room};
use anyhow::{Context, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A qcow2 or VHD may be larger than the disk in it: tables, and a qcow2's internal snapshots.
const LARGEST_OF_SIZE: u64 = 2;
const SLACK_BYTES: u64 = 64 * MB;
/// How often the free space is looked at: after so many bytes, or so long while another program writes.
const LOOK_BYTES: u64 = 16 * MB;
const LOOK: Duration = Duration::from_millis(100);

impl Source<'_> {
    /// Into a file without holes' zeros; it is gone again when the image is done or anything fails.
    pub(super) fn stage(&self, producer: Producer, head: &[u8], from: ChildStdout) -> Result<Staged> {
        let staged = self.copy(head, from)?;
        producer.finish()?;
        Ok(staged)
    }

    fn copy(&self, head: &[u8], from: impl Read) -> Result<Staged> {
        let staged = self.staged_file()?;
        write_sparse(head, from, staged.file(), self.staged_limit_bytes())
            .with_context(|| format!("cannot stage {} in {}", self.path, self.staging_dir.display()))?;
        Ok(staged)
    }

    fn staged_file(&self) -> Result<Staged> {
        Staged::new(self.staging_dir, self.limit)
    }

    /// A small compressed file can hold any number of zeros: not more is unpacked than IMAGE/SIZE allows.
    fn staged_limit_bytes(&self) -> u64 {
        let announced = self.size_mb.filter(|size| *size > 0).map(|size| size.saturating_mul(MB));
        announced.map_or(MAX_VHD_BYTES, |size| {
            size.saturating_mul(LARGEST_OF_SIZE).saturating_add(SLACK_BYTES).min(MAX_VHD_BYTES)
        })
    }

    /// A VMDK that is a file here. A copy of it is checked and read: its owner could change it after the check.
    pub(super) fn open_vmdk(&self, path: &Path) -> Result<Content> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        vmdk::check(&file, self.path)?;
        self.convert_vmdk(&self.copy(&[], file)?)
    }

    /// VMDK is left to qemu-img, once it is known to name no other file.
    pub(super) fn convert_vmdk(&self, vmdk: &Staged) -> Result<Content> {
        let size_bytes = vmdk::check(vmdk.file(), self.path)?;
        let staged = self.staged_file()?;
        let mut command = Command::new("qemu-img");
        command.args(["convert", "-q", "-f", "vmdk", "-O", "raw", "--"]).arg(vmdk.path()).arg(staged.path());
        let (converting, mut said) = Producer::start(&mut command, self.limit, self.stop)
            .context("a VMDK image needs qemu-img on the machine this script runs on")?;
        let is_done = AtomicBool::new(false);
        let room = thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    if let Err(error) = has_room(staged.file()) {
                        converting.kill();
                        return Err(error);
                    }
                    thread::sleep(LOOK);
                }
                Ok(())
            });
            let read = std::io::copy(&mut said, &mut std::io::sink());
            is_done.store(true, Ordering::Relaxed);
            let room = watch.join().unwrap_or(Ok(()));
            read?;
            room
        });
        room.with_context(|| format!("cannot unpack {} in {}", self.path, self.staging_dir.display()))?;
        converting.finish()?;
        let image = Image::open_as(&staged.path(), Format::Raw)?;
        ensure!(
            image.virtual_size_bytes() == size_bytes,
            "qemu-img makes {} bytes of {}, whose header tells of {size_bytes}",
            image.virtual_size_bytes(),
            self.path
        );
        Ok(Content::Image { image })
    }
}

fn write_sparse(head: &[u8], from: impl Read, mut file: &File, limit_bytes: u64) -> Result<()> {
    let mut from = head.chain(from);
    let mut chunk = vec![0; 64 << 10];
    let mut size = 0;
    let mut looked_at = None;
    loop {
        let count = (&mut from).take(chunk.len() as u64).read(&mut chunk)?;
        let Some(data) = chunk.get(..count).filter(|data| !data.is_empty()) else { break };
        if is_zero(data) {
            file.seek(SeekFrom::Current(i64::try_from(count)?))?;
        } else {
            file.write_all(data)?;
        }
        size += count as u64;
        ensure!(
            size <= limit_bytes,
            "it is larger than {} MB, which is what IMAGE/SIZE allows for",
            limit_bytes / MB
        );
        if looked_at != Some(size / LOOK_BYTES) {
            looked_at = Some(size / LOOK_BYTES);
            has_room(file)?;
        }
    }
    Ok(file.set_len(size)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_unpacked_than_is_allowed() {
        let file = tempfile::tempfile().unwrap();
        write_sparse(b"head", &[0; 100][..], &file, 104).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 104);
        let endless = std::io::repeat(0);
        let error = write_sparse(b"head", endless, &file, 10 * MB).unwrap_err().to_string();
        assert!(error.contains("larger than 10 MB"), "{error}");
    }
}
