//! Which images OpenNebula has, as an administrator tells by hand.

use crate::one::{Element, input};
use crate::report::Result;
use crate::xe::Uuid;
use anyhow::{Context, ensure};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// OpenNebula's images of `xcp` datastores.
pub struct Images {
    sources: HashSet<Uuid>,
    highest_id: u32,
}

impl Images {
    /// Reads what `oneimage list -x` prints for oneadmin.
    pub fn load(file: &Path) -> Result<Images> {
        const WHAT: &str = "the list of OpenNebula's images";
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let root = Element::parse(WHAT, &input::decode(WHAT, bytes)?)?;
        ensure!(
            root.name() == "IMAGE_POOL",
            "{WHAT} is a {}, not the IMAGE_POOL of oneimage list -x",
            root.name()
        );
        let mut images = Images { sources: HashSet::new(), highest_id: 0 };
        for image in root.all("IMAGE") {
            images.highest_id = images.highest_id.max(image.need("ID")?);
            images.sources.extend(image.text("SOURCE").parse::<Uuid>());
        }
        // Taken at its word it would make leftovers of all images; more likely its command failed.
        ensure!(!images.sources.is_empty(), "{WHAT} names none that is a VDI");
        Ok(images)
    }

    /// Whether OpenNebula has given this number, and has no image with this source: a higher number may be younger
    /// than the list.
    pub fn lacks(&self, image_id: u32, source: &Uuid) -> bool {
        image_id <= self.highest_id && !self.sources.contains(source)
    }
}
