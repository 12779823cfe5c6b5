//! What the checks of storage ask for.

use crate::report::Result;
use crate::xe::{Record, Uuid, Xe};

/// A storage repository.
pub struct Sr {
    pub uuid: Uuid,
    pub name: String,
    pub content_type: String,
    pub is_shared: bool,
    /// -1 where the SR does not tell, as for what is used of it.
    pub size_bytes: i64,
    pub used_bytes: i64,
}

/// What joins an SR to a host.
pub struct Pbd {
    pub uuid: Uuid,
    pub sr: Uuid,
    pub host: Uuid,
    pub is_attached: bool,
}

/// The SRs that the pool names.
pub struct Pool {
    pub uuid: Uuid,
    pub default_sr: Option<Uuid>,
    pub suspend_sr: Option<Uuid>,
}

/// The pool; none: nobody may see it.
pub fn pool(xe: &Xe) -> Result<Option<Pool>> {
    let read = |record: &Record<'_>| {
        Ok(Pool {
            uuid: record.get("uuid")?,
            default_sr: record.optional("default-SR")?,
            suspend_sr: record.optional("suspend-image-SR")?,
        })
    };
    Ok(xe.list("pool", &["uuid", "default-SR", "suspend-image-SR"], &[], read)?.pop())
}

/// All of the pool's.
pub fn srs(xe: &Xe) -> Result<Vec<Sr>> {
    let fields = ["uuid", "name-label", "content-type", "shared", "physical-size", "physical-utilisation"];
    xe.list("sr", &fields, &[], |record| {
        Ok(Sr {
            uuid: record.get("uuid")?,
            name: record.text("name-label").to_owned(),
            content_type: record.text("content-type").to_owned(),
            is_shared: record.text("shared") == "true",
            size_bytes: record.text("physical-size").parse().unwrap_or(-1),
            used_bytes: record.text("physical-utilisation").parse().unwrap_or(-1),
        })
    })
}

/// All of the pool's.
pub fn pbds(xe: &Xe) -> Result<Vec<Pbd>> {
    xe.list("pbd", &["uuid", "sr-uuid", "host-uuid", "currently-attached"], &[], |record| {
        Ok(Pbd {
            uuid: record.get("uuid")?,
            sr: record.get("sr-uuid")?,
            host: record.get("host-uuid")?,
            is_attached: record.text("currently-attached") == "true",
        })
    })
}
