//! `create -f raw|qcow2 [-b BACKING] FILE [SIZE]`

use super::arguments::{Arguments, format};
use super::{info, resize, size};
use crate::image::{Backing, Format, create_qcow2};
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::fs::{self, File};
use std::path::Path;

pub fn run(arguments: &Arguments) -> Result<String> {
    let format = format(arguments.format.as_deref().unwrap_or("raw"))?;
    let (path, size) = match arguments.operands.as_slice() {
        [path, text] => (path, Some(size::bytes(text)?)),
        [path] if arguments.backing.is_some() => (path, None),
        given => bail!("create takes a file and its size, not {given:?}"),
    };
    let path = Path::new(path);
    if let Some(backing) = &arguments.backing {
        ensure!(format == Format::Qcow2, "a raw image has no backing file");
        return on_backing(arguments, path, backing, size);
    }
    let size = size.context("its size is missing")?;
    let file = new_file(path)?;
    match format {
        Format::Qcow2 => create_qcow2(&file, size, None),
        _ => resize::set_length(&file, size, arguments.allocate),
    }
    .with_context(|| format!("cannot make {}", path.display()))?;
    Ok(String::new())
}

/// The name of the backing file counts from the new image's folder.
fn on_backing(arguments: &Arguments, path: &Path, backing: &str, size: Option<u64>) -> Result<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let below = info::look(&folder.join(backing)).context("the backing file")?;
    let format = arguments.backing_format.as_deref().unwrap_or(below.format);
    ensure!(format == below.format, "the backing file is {}, not {format}", below.format);
    let size = size.unwrap_or(below.virtual_size_bytes);
    create_qcow2(&new_file(path)?, size, Some(&Backing { name: backing, format }))
        .with_context(|| format!("cannot make {}", path.display()))?;
    Ok(String::new())
}

/// An empty file; what is there is replaced, as QEMU does, if it is a plain file.
pub fn new_file(path: &Path) -> Result<File> {
    if let Ok(there) = fs::metadata(path) {
        ensure!(there.is_file(), "{} is not a plain file", path.display());
    }
    let options = File::options().read(true).write(true).create(true).truncate(true).open(path);
    options.with_context(|| format!("cannot make {}", path.display()))
}
