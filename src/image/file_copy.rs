//! An image's content into a new image file.

use super::big_endian::{count, len};
use super::blocks::Blocks;
use super::qcow2_write::Qcow2Sink;
use super::sink::{RawSink, Sink};
use super::{BLOCK_BYTES, Format, Image};
use anyhow::{Result, bail};
use std::fs::File;

impl Image {
    /// Writes the disk into an empty file as raw or qcow2, without its zeros.
    pub fn copy_into(&mut self, file: &File, format: Format) -> Result<()> {
        let size = self.virtual_size_bytes();
        let mut sink: Box<dyn Sink> = match format {
            Format::Raw => Box::new(RawSink(file)),
            Format::Qcow2 => Box::new(Qcow2Sink::new(file, size)),
            other => bail!("images are not converted into {other}"),
        };
        let mut blocks = Blocks::of_disk(size);
        self.content.mark_allocated(&mut blocks)?;
        let mut data = vec![0; len(BLOCK_BYTES)];
        for (number, allocated) in blocks.iter().enumerate() {
            let offset = count(number) * BLOCK_BYTES;
            let there = len(size.saturating_sub(offset).min(BLOCK_BYTES));
            let Some(part) = data.get_mut(..there).filter(|part| allocated && !part.is_empty()) else {
                continue;
            };
            self.content.read(offset, part)?;
            sink.put(offset, part)?;
        }
        sink.finish(size)
    }
}
