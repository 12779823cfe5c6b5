//! `resize FILE SIZE`: only larger.

use super::arguments::{Arguments, format};
use super::size;
use crate::image::{Format, Qcow2Facts, grow_qcow2};
use crate::report::Result;
use anyhow::{Context, ensure};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, File};

pub fn run(arguments: &Arguments) -> Result<String> {
    let [path, size] = arguments.operands("a file and its size")?;
    let size = size::bytes(size)?;
    let resize = || {
        ensure!(fs::metadata(path)?.is_file(), "it is not a plain file");
        let file = File::options().read(true).write(true).open(path)?;
        let is_qcow2 = match arguments.format.as_deref().map(format).transpose()? {
            Some(format) => format == Format::Qcow2,
            None => Qcow2Facts::read(&file)?.is_some(),
        };
        if is_qcow2 {
            return grow_qcow2(&file, size);
        }
        let now = file.metadata()?.len();
        ensure!(size >= now, "it has {now} bytes, and images are not made smaller");
        set_length(&file, size, arguments.allocate)
    };
    resize().with_context(|| format!("cannot resize {path} to {size} bytes"))?;
    Ok("Image resized.".to_owned())
}

/// Makes a raw image so long. With `allocate` its room is taken now.
pub fn set_length(file: &File, size: u64, allocate: bool) -> Result<()> {
    let now = file.metadata()?.len();
    if allocate && size > now {
        return fallocate(file, FallocateFlags::empty(), now, size - now).context("cannot take its room");
    }
    file.set_len(size).context("cannot set its length")
}
