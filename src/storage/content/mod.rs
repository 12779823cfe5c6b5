//! What an image is made from: a local file, or what a URL gives, compressed or not, told by its content.
//!
//! A raw disk that comes as a stream goes on as a stream. Other formats must be read out of order: those, and only
//! if they are not a file here already, are put into a file in the staging folder first.

mod head;
mod staged;
mod vmdk;

use super::MB;
use crate::image::{Image, MAX_VHD_BYTES, foreign};
use crate::process;
use crate::producer::Producer;
use crate::report::Result;
use crate::signal::Stop;
use anyhow::{Context, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where an image comes from, and what is known of it.
pub struct Source<'a> {
    /// A file's path or a URL.
    pub path: &'a str,
    /// As OpenNebula has it of `stat`; a raw stream must be told its size.
    pub size_mb: Option<u64>,
    /// The file is taken as it is, also if it is compressed.
    pub no_decompress: bool,
    /// In hexadecimal digits; of the file as it is before it is decompressed. Empty: not checked.
    pub md5: &'a str,
    pub sha1: &'a str,
    /// Of a download, as curl takes it; empty: no limit.
    pub limit_transfer_bw: &'a str,
    /// OpenNebula's own downloader, which knows all of its URLs.
    pub downloader: Option<PathBuf>,
    /// What it gets as DRV_ACTION, in base64.
    pub request: String,
    pub staging_dir: &'a Path,
    pub limit: Duration,
    pub stop: &'a Stop,
}

/// An image's bytes, open.
pub enum Content {
    /// A file to read in any order; a staged one has no name any more, and goes when this is dropped.
    Image { image: Image },
    /// A raw disk that comes once.
    Stream { producer: Producer, from: Box<dyn Read + Send>, size_bytes: u64 },
}

/// Whether it is a URL, and not a file here.
pub fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| {
        // RFC 3986, 3.1; one that begins with `-` would be an option of the program that gets it.
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

impl Source<'_> {
    /// Opens it. Nothing in the pool has been changed when this fails.
    pub fn open(&self) -> Result<Content> {
        if is_url(self.path) {
            return self.open_url();
        }
        let path = Path::new(self.path);
        let head = head::of_file(path)?;
        self.check_sum("md5sum", self.md5)?;
        self.check_sum("sha1sum", self.sha1)?;
        match head::decompressor(&head).filter(|_| !self.no_decompress) {
            Some(program) => self.open_stream(Command::new(program).arg("-dc").arg("--").arg(path)),
            None if head.starts_with(head::VMDK) => self.open_vmdk(path),
            None => {
                self.check_ours(&head)?;
                Ok(Content::Image { image: Image::open(path)? })
            }
        }
    }

    /// The size of the disk in a compressed local file or in a VMDK; none for other files. A compressed raw disk is
    /// decompressed as a whole for that, as no format tells it reliably; the others tell it in their first bytes.
    pub fn told_bytes(&self) -> Result<Option<u64>> {
        let path = Path::new(self.path);
        let head = head::of_file(path)?;
        let Some(program) = head::decompressor(&head).filter(|_| !self.no_decompress) else {
            if head.starts_with(head::VMDK) {
                let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                return vmdk::check(&file, self.path).map(Some);
            }
            self.check_ours(&head)?;
            return Ok(None);
        };
        let mut command = Command::new(program);
        let (producer, mut from) =
            Producer::start(command.arg("-dc").arg("--").arg(path), self.limit, self.stop)?;
        let head = head::take(&mut from)?;
        if head::is_out_of_order(&head) {
            let size = head::virtual_size_bytes(&head);
            return size.map(Some).with_context(|| format!("{} has no size in its header", self.path));
        }
        self.check_ours(&head)?;
        let rest = std::io::copy(&mut from.take(MAX_VHD_BYTES), &mut std::io::sink())?;
        ensure!(rest < MAX_VHD_BYTES, "{} holds more than the 2040 GiB of the largest disk", self.path);
        producer.finish()?;
        Ok(Some(head.len() as u64 + rest))
    }

    fn open_url(&self) -> Result<Content> {
        let downloader = self.downloader.as_ref().with_context(|| {
            format!(
                "{} is a URL, and there is no downloader.sh of OpenNebula's beside this script",
                self.path
            )
        })?;
        let mut command = Command::new(downloader);
        for (option, value) in
            [("--md5", self.md5), ("--sha1", self.sha1), ("--limit", self.limit_transfer_bw)]
        {
            if !value.is_empty() {
                command.args([option, value]);
            }
        }
        if self.no_decompress {
            command.arg("--nodecomp");
        }
        self.open_stream(command.args([self.path, "-"]).env("DRV_ACTION", &self.request))
    }

    fn open_stream(&self, command: &mut Command) -> Result<Content> {
        let (producer, mut from) = Producer::start(command, self.limit, self.stop)?;
        let head = head::take(&mut from)?;
        if head.is_empty() {
            producer.finish()?;
            bail!("{} is empty", self.path);
        }
        if head::is_out_of_order(&head) {
            let staged = self.stage(producer, &head, from)?;
            if head.starts_with(head::VMDK) {
                return self.convert_vmdk(&staged);
            }
            return Ok(Content::Image { image: Image::open(&staged.path())? });
        }
        self.check_ours(&head)?;
        let size_mb = self.size_mb.filter(|size| *size > 0);
        let size_bytes = MB * size_mb.with_context(|| format!("nobody tells the size of {}", self.path))?;
        let from = std::io::Cursor::new(head).chain(from);
        Ok(Content::Stream { producer, from: Box::new(from), size_bytes })
    }

    /// Else a container's own bytes would become the disk.
    fn check_ours(&self, head: &[u8]) -> Result<()> {
        match foreign(head) {
            Some(name) => bail!(
                "{} is {name}, which is none of raw, qcow2, vhd: convert it with qemu-img convert -O qcow2",
                self.path
            ),
            None => Ok(()),
        }
    }

    fn check_sum(&self, program: &str, wanted: &str) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let said = process::output(Command::new(program).arg("--").arg(self.path), self.limit)?;
        ensure!(said.status.success(), "{program} cannot read {}", self.path);
        let text = String::from_utf8_lossy(&said.stdout);
        // A name with a backslash or line break makes the line begin with a backslash.
        let found = text.split_whitespace().next().unwrap_or_default().trim_start_matches('\\');
        ensure!(
            found.eq_ignore_ascii_case(wanted),
            "{} has the {program} {found}, and should have {wanted}",
            self.path
        );
        Ok(())
    }
}

impl Content {
    /// What a guest sees, in bytes.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Content::Image { image } => image.virtual_size_bytes(),
            Content::Stream { size_bytes, .. } => *size_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_url;

    #[test]
    fn a_scheme_begins_with_a_letter() {
        assert!(["http://host/a", "s3+x://b", "docker://alpine"].into_iter().all(is_url));
        assert!(
            ["/var/tmp/a", "-o://x", "--proxy://x", "1a://x", "://x", "a b://x"]
                .into_iter()
                .all(|p| !is_url(p))
        );
    }
}
