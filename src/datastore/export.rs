//! `export`: an image for a marketplace. It is put into a file in STAGING_DIR, and the answer tells of it.

use super::Call;
use crate::image::{self, Format};
use crate::process;
use crate::report::Result;
use crate::storage::lineage;
use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;

pub fn run(call: &Call) -> Result<String> {
    let vdi = lineage::need(&call.xe, &call.key()?)?;
    let size_mb: u64 = call.request.image.get("SIZE")?.unwrap_or(0);
    let file = call.staging_dir().join(format!("one-image-{}-export.qcow2", call.request.id));
    // The marketplace's driver runs the command as it is, without a shell's quotes.
    ensure!(!file.to_string_lossy().contains(char::is_whitespace), "STAGING_DIR has a blank in its name");
    call.xe.export_vhd(&vdi.uuid, |mut stdout| {
        image::vhd_to_file(&mut stdout, &file, Format::Qcow2, (size_mb > 0).then_some(size_mb << 20))
    })?;
    let md5 = md5(call, &file)?;
    Ok(format!(
        "<IMPORT_INFO><IMPORT_SOURCE><![CDATA[{}]]></IMPORT_SOURCE><MD5><![CDATA[{md5}]]></MD5><SIZE><![CDATA[{size_mb}]]>\
         </SIZE><FORMAT><![CDATA[qcow2]]></FORMAT><DISPOSE>YES</DISPOSE><DISPOSE_CMD><![CDATA[rm -f {}]]></DISPOSE_CMD>\
         </IMPORT_INFO>",
        file.display(),
        file.display()
    ))
}

fn md5(call: &Call, file: &Path) -> Result<String> {
    let said = process::output(Command::new("md5sum").arg("--").arg(file), call.xe.transfer_limit)?;
    ensure!(said.status.success(), "md5sum cannot read {}", file.display());
    let text = String::from_utf8_lossy(&said.stdout);
    text.split_whitespace().next().map(str::to_owned).context("md5sum says nothing")
}
