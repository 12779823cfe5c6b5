//! `clone`: a new image with the content of another. Prints its SOURCE and FORMAT.

use super::Call;
use crate::one::Element;
use crate::report::Result;
use crate::storage::{lineage, make, snapshot};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::Uuid;
use crate::xe::vdi::Vdi;

pub fn run(call: &Call) -> Result<String> {
    let (xe, id) = (&call.xe, call.request.id);
    let of = lineage::need(xe, &original(&call.request.image)?)?;
    let sr = call.sr()?;
    let name = mark::image(id);
    for left in Vdi::with_name(xe, &name)? {
        // Its number is this image's, and nobody has ever been told its uuid.
        if left.vbds == 0 && left.uuid != of.uuid {
            snapshot::destroy(xe, &left.uuid)?;
        }
    }
    let undo = Undo::new(xe);
    let tags = [mark::image(id)];
    let uuid = if of.sr_uuid == sr {
        make::cloned(xe, &undo, &of.uuid, &name, &tags)?
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
