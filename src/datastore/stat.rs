//! `stat`: the size of what an image will be made from. Prints it in MB.

use super::Call;
use crate::image::Image;
use crate::process;
use crate::report::{self, Result};
use crate::storage::MB;
use crate::storage::content::{Content, is_url};
use anyhow::{Context, bail, ensure};
use std::io::Write;
use std::path::Path;
use std::process::Command;

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
    let source = call.source();
    let mut command = Command::new(&script);
    let (said, _) = process::feed(
        command.arg(call.request.id.to_string()),
        source.limit,
        source.stop.flag(),
        &|| (),
        // It need not read all of it: its exit tells whether it was content.
        |mut stdin| Ok(stdin.write_all(source.request.as_bytes())?),
    )?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !said.status.success() {
        let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
        bail!("{} says: {text} {complaint}", script.display());
    }
    Ok(text)
}
