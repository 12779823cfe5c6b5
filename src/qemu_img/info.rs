//! `info [--output json] FILE`

use super::arguments::Arguments;
use crate::image::Qcow2Facts;
use crate::report::Result;
use anyhow::{Context, ensure};
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is known of an image without its content.
pub struct Facts {
    pub format: &'static str,
    pub virtual_size_bytes: u64,
    disk_bytes: u64,
    qcow2: Option<Qcow2Facts>,
}

pub fn run(arguments: &Arguments) -> Result<String> {
    let [path] = arguments.operands("a file")?;
    let facts = look(Path::new(path))?;
    Ok(if arguments.json { json(path, &facts) } else { text(path, &facts) })
}

/// Reads a file's header. By QEMU's rule what has none is raw.
pub fn look(path: &Path) -> Result<Facts> {
    let read = || {
        let there = fs::metadata(path)?;
        ensure!(there.is_file(), "it is not a plain file");
        let qcow2 = Qcow2Facts::read(&File::open(path)?)?;
        let format = if qcow2.is_some() { "qcow2" } else { "raw" };
        let virtual_size_bytes = qcow2.as_ref().map_or(there.len(), |facts| facts.virtual_size_bytes);
        Ok(Facts { format, virtual_size_bytes, disk_bytes: there.blocks() * 512, qcow2 })
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &str, facts: &Facts) -> String {
    let mut text = format!("image: {path}\nfile format: {}\n", facts.format);
    _ = writeln!(text, "virtual size: {0} B ({0} bytes)", facts.virtual_size_bytes);
    _ = write!(text, "disk size: {} B", facts.disk_bytes);
    if let Some(qcow2) = &facts.qcow2 {
        _ = write!(text, "\ncluster_size: {}", 1_u64.checked_shl(qcow2.cluster_bits).unwrap_or(0));
        if let Some(backing) = &qcow2.backing_file {
            _ = write!(text, "\nbacking file: {}", backing.escape_default());
        }
    }
    text
}

fn json(path: &str, facts: &Facts) -> String {
    let mut text = format!(
        "{{\n    \"virtual-size\": {},\n    \"filename\": {},\n    \"format\": {},\n    \"actual-size\": {}",
        facts.virtual_size_bytes,
        string(path),
        string(facts.format),
        facts.disk_bytes
    );
    if let Some(qcow2) = &facts.qcow2 {
        let cluster = 1_u64.checked_shl(qcow2.cluster_bits).unwrap_or(0);
        _ = write!(text, ",\n    \"cluster-size\": {cluster}");
        if let Some(backing) = &qcow2.backing_file {
            _ = write!(text, ",\n    \"backing-filename\": {}", string(backing));
        }
    }
    text + "\n}"
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            _ if char.is_control() => _ = write!(quoted, "\\u{:04x}", u32::from(char)),
            _ => quoted.push(char),
        }
    }
    quoted + "\""
}
