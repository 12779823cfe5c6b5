//! `export`: an image for a marketplace. It is put into a file in STAGING_DIR, and the answer tells of it.
//!
//! Every local user may make files in STAGING_DIR (by default `/var/tmp`). The image gets a directory there that only its
//! owner may enter, so that nobody else can put a link where it is written.

use super::Call;
use crate::image::{self, Format};
use crate::process;
use crate::report::Result;
use crate::storage::lineage;
use crate::storage::staging;
use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn run(call: &Call) -> Result<String> {
    let vdi = lineage::need(&call.xe, &call.key()?)?;
    let size_mb: u64 = call.request.image.get("SIZE")?.unwrap_or(0);
    let staging = call.staging_dir();
    // The marketplace's driver runs DISPOSE_CMD without a shell's quotes, in a folder that we do not know.
    let is_plain = !staging.to_string_lossy().contains(char::is_whitespace);
    ensure!(
        staging.is_absolute() && is_plain,
        "STAGING_DIR is {}: it must be an absolute path without blanks",
        staging.display()
    );
    let name = format!("image-{}-export", call.request.id);
    let (folder, is_new) = staging::private_dir(staging, &name, call.xe.transfer_limit)?;
    let file = folder.join("image.qcow2");
    let written = call.xe.export_vhd(&vdi.uuid, |mut stdout| {
        image::vhd_to_file(&mut stdout, &file, Format::Qcow2, (size_mb > 0).then_some(size_mb << 20))
    });
    let md5 = written.and_then(|()| md5(call, &file));
    if md5.is_err() && is_new {
        _ = fs::remove_dir_all(&folder);
    }
    let md5 = md5?;
    Ok(format!(
        "<IMPORT_INFO><IMPORT_SOURCE><![CDATA[{}]]></IMPORT_SOURCE><MD5><![CDATA[{md5}]]></MD5><SIZE><![CDATA[{size_mb}]]>\
         </SIZE><FORMAT><![CDATA[qcow2]]></FORMAT><DISPOSE>YES</DISPOSE><DISPOSE_CMD><![CDATA[rm -rf {}]]></DISPOSE_CMD>\
         </IMPORT_INFO>",
        file.display(),
        folder.display()
    ))
}

fn md5(call: &Call, file: &Path) -> Result<String> {
    let said = process::output(Command::new("md5sum").arg("--").arg(file), call.xe.transfer_limit)?;
    ensure!(said.status.success(), "md5sum cannot read {}", file.display());
    let text = String::from_utf8_lossy(&said.stdout);
    text.split_whitespace().next().map(str::to_owned).context("md5sum says nothing")
}
