//! `convert [-f FORMAT] -O raw|qcow2 FROM TO`

use super::arguments::{Arguments, format};
use super::create::new_file;
use crate::image::{Format, Image, Qcow2Facts};
use crate::report::Result;
use anyhow::{Context, ensure};
use std::fs::{self, File};
use std::path::Path;

pub fn run(arguments: &Arguments) -> Result<String> {
    let [from, to] = arguments.operands("two files")?;
    let (from, to) = (Path::new(from), Path::new(to));
    let into = format(arguments.output_format.as_deref().unwrap_or("raw"))?;
    let known = arguments.format.as_deref().map(format).transpose()?;
    let mut image = Image::open_as(from, known.map_or_else(|| told(from), Ok)?)?;
    let is_same = fs::canonicalize(to).is_ok_and(|to| fs::canonicalize(from).is_ok_and(|from| from == to));
    ensure!(!is_same, "{} would be written over itself", from.display());
    let copied = new_file(to).and_then(|file| {
        image.copy_into(&file, into)?;
        file.sync_all().context("cannot bring it to disk")
    });
    if copied.is_err() {
        _ = fs::remove_file(to);
    }
    copied.with_context(|| format!("cannot convert {} into {}", from.display(), to.display()))?;
    Ok(String::new())
}

/// By its header; a guest can write one into its raw disk, and of qcow2 only what needs no other file is read.
fn told(path: &Path) -> Result<Format> {
    let read = || Qcow2Facts::read(&File::open(path)?);
    let facts = read().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(if facts.is_some() { Format::Qcow2 } else { Format::Raw })
}
