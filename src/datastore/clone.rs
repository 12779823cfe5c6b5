//! `clone`: a new image with the content of another. Prints its SOURCE and FORMAT.

use super::Call;
use super::cp::clear_incomplete;
use crate::one::Element;
use crate::report::Result;
use crate::storage::{lineage, make};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::Uuid;
use crate::xe::vdi;

pub fn run(call: &Call) -> Result<String> {
    let (xe, id) = (&call.xe, call.request.id);
    let of = lineage::need(xe, &original(&call.request.image)?)?;
    let sr = call.sr()?;
    clear_incomplete(xe, id)?;
    let undo = Undo::new(xe);
    let (name, tags) = (mark::image(id), [mark::image(id)]);
    let uuid = if of.sr_uuid == sr {
        // Nobody else calls a VDI so, and nobody has ever been told the uuid of one.
        let name_for_now = mark::unmade_image(id);
        make::clear(xe, &name_for_now)?;
        let uuid = make::cloned(xe, &undo, &of.uuid, &name_for_now, &tags)?;
        xe.run(&vdi::rename(&uuid, &name))?;
        uuid
    } else {
        make::copied(xe, &undo, &of, &sr, &name, &tags)?
    };
    undo.keep();
    Ok(format!("{uuid} raw"))
}

/// OpenNebula gives the image to clone as the new one's PATH (image/ImageManagerActions.cc `clone_image`).
fn original(image: &Element) -> Result<Uuid> {
    image.need("PATH")
}
