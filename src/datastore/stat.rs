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
    let bytes = match source.told_bytes()? {
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

/// OpenNebula's own script knows how to ask for each kind of URL. The one of its `fs` driver is installed by every
/// release, and prints a size in MB. It takes the message as we got it: on standard input, or (up to 6.2) as its first
/// argument.
fn by_opennebula(call: &Call) -> Result<String> {
    let script = call.beside("fs/stat").with_context(|| {
        format!(
            "cannot ask for the size of {}: OpenNebula's script remotes/datastore/fs/stat is not installed",
            call.source().path
        )
    })?;
    let source = call.source();
    let mut command = Command::new(&script);
    if call.request.is_argument {
        command.arg(&source.request);
    }
    let (output, _) = process::feed(
        command.arg(call.request.id.to_string()),
        source.limit,
        source.stop.flag(),
        &|| (),
        // It need not read all of it: its exit tells whether it was content.
        |mut stdin| Ok(stdin.write_all(source.request.as_bytes())?),
    )?;
    let size_mb = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let stderr = report::one_line(&String::from_utf8_lossy(&output.stderr));
        bail!("{}: {size_mb} {stderr}", script.display());
    }
    let is_a_size = size_mb.parse::<u64>().is_ok_and(|size_mb| size_mb > 0);
    ensure!(is_a_size, "{} prints {size_mb:?}, not a size in MB", script.display());
    Ok(size_mb)
}
