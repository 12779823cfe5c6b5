//! `mkfs`: an empty image, or the place of one that a disk will be saved as. Prints its SOURCE and nothing else.

use super::Call;
use super::cp::clear_incomplete;
use crate::one::DatastoreConf;
use crate::report::Result;
use crate::storage::{MB, fill, format, make, vdi_size_bytes};
use crate::translate::mark;
use crate::undo::Undo;
use anyhow::ensure;

/// A disk is put in the place of this later, whatever its size.
const PLACE_BYTES: u64 = 4 * MB;

pub fn run(call: &Call) -> Result<String> {
    let (xe, id) = (&call.xe, call.request.id);
    let size_mb: u64 = call.request.image.need("SIZE")?;
    let fs = [call.request.image.text("FS"), call.request.image_attribute("FS")].concat();
    let saves_disk = call.request.image.text("FORMAT") == "save_as";
    ensure!(size_mb > 0, "IMAGE/SIZE is 0");
    let size_bytes = if saves_disk { PLACE_BYTES } else { vdi_size_bytes(size_mb * MB) };
    let fs = if saves_disk { "" } else { fs.as_str() };
    let conf = DatastoreConf::load(&call.called_as)?;
    let filled = format::formatted(call.staging_dir(), size_bytes, fs, &conf, xe.transfer_limit)?;
    let sr = call.sr()?;
    clear_incomplete(xe, id)?;
    let undo = Undo::new(xe);
    let name = mark::image(id);
    let filling = make::to_be_filled(xe, &undo, &sr, &name, size_bytes, std::slice::from_ref(&name))?;
    if let Some(mut filled) = filled {
        fill::from_image(xe, &filling.uuid, &mut filled, size_bytes)?;
    }
    let uuid = filling.done(xe)?;
    undo.keep();
    Ok(uuid.to_string())
}
