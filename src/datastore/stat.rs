//! `stat`: the size of what an image will be made from. Prints it in MB.

use super::Call;
use crate::image::Image;
use crate::report::Result;
use crate::storage::MB;
use crate::storage::content::{Content, is_url};
use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

pub fn run(call: &Call) -> Result<String> {
    let source = call.source();
    ensure!(!source.path.is_empty(), "IMAGE/PATH is missing");
    if is_url(source.path) {
        return by_opennebula(call);
    }
    let bytes = match source.decompressed_bytes()? {
        Some(bytes) => bytes,
        None => match Image::open(Path::new(source.path)) {
            Ok(image) => image.virtual_size_bytes(),
            Err(error) => match source.open() {
                Ok(content @ Content::Image { .. }) => content.size_bytes(),
                _ => return Err(error),
            },
        },
    };
    Ok(bytes.div_ceil(MB).to_string())
}

/// OpenNebula's own script knows how to ask for each kind of URL.
fn by_opennebula(call: &Call) -> Result<String> {
    let script = call.beside("common/stat").with_context(|| {
        format!("{} is a URL, and there is no common/stat of OpenNebula's", call.source().path)
    })?;
    let mut child = Command::new(&script)
        .arg(call.request.id.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", script.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(call.source().request.as_bytes())?;
    }
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{} says: {}", script.display(), said.trim());
    Ok(said.trim().to_owned())
}
