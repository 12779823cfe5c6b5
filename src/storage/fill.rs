//! Bytes into a VDI.

use super::progress::Progress;
use crate::image::{Image, LastFooter};
use crate::producer::Producer;
use crate::report::{self, Result};
use crate::xe::transfer::StreamFormat;
use crate::xe::{Uuid, Xe, failed_with, was_refused_in_passing};
use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// As a VHD, of which only the blocks with data are stored. A disk so full that it does not fit one goes raw,
/// and so does one for an SR that takes no VHD (LVM without `use_vhd`, xapi sm_fs_ops.ml
/// `must_write_zeroes_into_new_vdi`).
pub fn from_image(xe: &Xe, vdi: &Uuid, image: &mut Image, vdi_size_bytes: u64) -> Result<()> {
    if image.vhd_fits_pipe(vdi_size_bytes)? {
        let sent = xe.retry.run(
            || {
                xe.import(vdi, StreamFormat::Vhd, |to| {
                    image.write_vhd(&mut Progress::new(to), vdi_size_bytes, LastFooter::AtVdiSize)
                })
            },
            was_refused_in_passing,
        );
        match sent {
            Err(error) if failed_with(&error, &["VDI_IO_ERROR"]) => {
                report::info(format!("VDI {vdi} took no VHD, the disk is sent as it is: {error:#}"));
            }
            other => return other.map(drop),
        }
    }
    let sent = xe.retry.run(
        || xe.import(vdi, StreamFormat::Raw, |to| image.write_raw(&mut Progress::new(to), vdi_size_bytes)),
        was_refused_in_passing,
    );
    sent.map(drop)
}

/// So much is in memory of a stream.
const CHUNK_BYTES: usize = 256 << 10;

/// As it comes out of `from`, which `producer` writes; gives back how many bytes it was. What is left of the VDI
/// is zeros, as it was made. More than `vdi_size_bytes`, or a producer that fails, is an error.
pub fn from_stream(
    xe: &Xe,
    vdi: &Uuid,
    producer: Producer,
    mut from: impl Read + Send,
    vdi_size_bytes: u64,
) -> Result<u64> {
    // One that has given everything may be on its way out still when xe ends: it is not killed then.
    let is_read = AtomicBool::new(false);
    let kill = || {
        if !is_read.load(Ordering::Relaxed) {
            producer.kill();
        }
    };
    let copied = xe.import_with(vdi, StreamFormat::Raw, &kill, |to| {
        let mut to = Progress::new(to);
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total = 0;
        loop {
            let count = from.read(&mut chunk).context("cannot read the source")?;
            let Some(data) = chunk.get(..count).filter(|data| !data.is_empty()) else {
                is_read.store(true, Ordering::Relaxed);
                break;
            };
            total += count as u64;
            ensure!(
                total <= vdi_size_bytes,
                "the source is longer than the {vdi_size_bytes} bytes it was announced with"
            );
            to.write_all(data).context("cannot send the source on")?;
        }
        // XAPI wants as many bytes as the VDI has.
        pad(&mut to, vdi_size_bytes - total)?;
        Ok(total)
    });
    if copied.is_err() {
        producer.kill();
        return copied;
    }
    producer.finish().context("the source ended early")?;
    copied
}

fn pad(to: &mut impl Write, mut bytes: u64) -> Result<()> {
    let zeros = vec![0; CHUNK_BYTES];
    while bytes > 0 {
        let part = zeros.get(..usize::try_from(bytes).unwrap_or(CHUNK_BYTES)).unwrap_or(&zeros);
        to.write_all(part).context("cannot send the source on")?;
        bytes -= part.len() as u64;
    }
    Ok(())
}
