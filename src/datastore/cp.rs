//! `cp`: an image from a file or URL into the datastore. Prints its SOURCE and FORMAT.

use super::Call;
use crate::image::{Checksums, Summing};
use crate::report::{self, Result};
use crate::storage::content::{Content, is_url};
use crate::storage::{MB, fill, make, snapshot, vdi_size_bytes, verify};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::vdi::Vdi;
use crate::xe::{Uuid, Xe};
use anyhow::{Context, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub fn run(call: &Call) -> Result<String> {
    let source = call.source();
    if !is_url(source.path) {
        check_allowed(call, Path::new(source.path))?;
    }
    let content = source.open()?;
    let uuid = import(call, content)?;
    Ok(format!("{uuid} raw"))
}

/// Makes the image's VDI out of the content. Until all of it is there the VDI has a tag that says so.
fn import(call: &Call, content: Content) -> Result<Uuid> {
    let (xe, id) = (&call.xe, call.request.id);
    let sr = call.sr()?;
    clear_incomplete(xe, id)?;
    let size_bytes = content.size_bytes();
    // OpenNebula has it from stat.
    let announced_mb = call.source().size_mb.unwrap_or(0);
    ensure!(
        size_bytes.div_ceil(MB) >= announced_mb,
        "{} has {size_bytes} bytes, and was announced with {announced_mb} MB: is it still being written?",
        call.source().path
    );
    let vdi_bytes = vdi_size_bytes(size_bytes);
    let undo = Undo::new(xe);
    let name = mark::image(id);
    let filling = make::to_be_filled(xe, &undo, &sr, &name, vdi_bytes, std::slice::from_ref(&name))?;
    let verified = call.conf.yes("VERIFY_IMAGES")?;
    let sent = match content {
        Content::Image { mut image } => {
            fill::from_image(xe, &filling.uuid, &mut image, vdi_bytes)?;
            verified.then(|| Checksums::of_image(&mut image)).transpose()?
        }
        Content::Stream { producer, from, size_bytes } => {
            let mut from = Summing::new(from, verified);
            let came = fill::from_stream(xe, &filling.uuid, producer, &mut from, vdi_bytes)?;
            ensure!(
                came.div_ceil(MB) == size_bytes / MB,
                "the source has {came} bytes, and was announced with {size_bytes}"
            );
            from.finish()
        }
    };
    check_size(xe, &filling.uuid, size_bytes)?;
    if let Some(sent) = sent {
        verify::check(xe, &filling.uuid, &sent)?;
    }
    let uuid = filling.done(xe)?;
    undo.keep();
    report::info(format!("image {id} is VDI {uuid}"));
    Ok(uuid)
}

/// The storage may have rounded the size up, never down.
fn check_size(xe: &Xe, uuid: &Uuid, size_bytes: u64) -> Result<()> {
    let made = Vdi::find(xe, uuid)?.with_context(|| format!("VDI {uuid} is gone"))?;
    ensure!(
        made.virtual_size_bytes >= size_bytes,
        "VDI {uuid} has {} bytes, the image {size_bytes}",
        made.virtual_size_bytes
    );
    Ok(())
}

/// Removes what a killed driver has left of this image.
pub fn clear_incomplete(xe: &Xe, id: u32) -> Result<()> {
    for left in Vdi::with_tag(xe, &mark::image(id))? {
        if mark::incomplete_since(&left.tags).is_some() && left.vbds == 0 {
            report::info(format!("clearing away an import of image {id} that was not completed"));
            snapshot::destroy(xe, &left.uuid)?;
        }
    }
    Ok(())
}

/// Where users may take files from (libfs.sh `check_restricted`): not OpenNebula's own folders and RESTRICTED_DIRS,
/// unless SAFE_DIRS has it. Links are followed first.
fn check_allowed(call: &Call, path: &Path) -> Result<()> {
    let real = fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))?;
    let real = real.to_string_lossy();
    let begins = |list: &str| {
        // A folder of the list is written as it may be, as OpenNebula's own is.
        list.split_whitespace().any(|dir| {
            let dir = fs::canonicalize(dir).unwrap_or_else(|_| PathBuf::from(dir));
            Path::new(real.as_ref()).starts_with(dir)
        })
    };
    let own = match env::var("ONE_LOCATION") {
        Ok(location) if !location.is_empty() => format!("{location}/var/ {location}/etc/"),
        _ => "/var/lib/one/ /etc/one/".to_owned(),
    };
    let home = env::var("HOME").unwrap_or_default();
    let restricted = format!("{own} {home} {}", call.request.setting("RESTRICTED_DIRS"));
    ensure!(
        begins(call.request.setting("SAFE_DIRS")) || !begins(&restricted),
        "not allowed to copy {}: it is in one of RESTRICTED_DIRS, and in none of SAFE_DIRS",
        path.display()
    );
    Ok(())
}
