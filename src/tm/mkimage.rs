//! `mkimage SIZE_MB FORMAT HOST:PATH/disk.N VM_ID DS_ID`: a volatile disk, on the system datastore's SR.

use super::place::Place;
use super::{Call, clone, show};
use crate::one::DatastoreConf;
use crate::report::{self, Result};
use crate::storage::format::{SWAP, formatted};
use crate::storage::{MB, fill, make, vdi_size_bytes};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::sr;
use anyhow::{Context, ensure};
use std::path::Path;

pub fn run(call: &Call) -> Result<String> {
    let format: String = call.word(1, "the format")?;
    let place: Place = call.word(2, "the disk's place")?;
    make(
        call,
        call.word(0, "the size")?,
        &format,
        &place,
        call.word(3, "the VM's id")?,
        call.word(4, "the datastore's id")?,
    )
}

/// Makes the disk; a format of `swap` is no format but what is in it.
pub fn make(
    call: &Call,
    size_mb: u64,
    format: &str,
    place: &Place,
    vm_id: u32,
    ds_id: u32,
) -> Result<String> {
    ensure!(size_mb > 0, "the size is 0");
    let disk_id = place.need_disk_id()?;
    let fs =
        if format == SWAP { SWAP.to_owned() } else { show::vm(vm_id)?.disk(disk_id)?.text("FS").to_owned() };
    let sr_name = show::datastore(ds_id)?.setting("XCP_SR");
    let xe = call.xe(place, ds_id)?;
    let size_bytes = vdi_size_bytes(size_mb * MB);
    let staging = Path::new(call.conf.text("STAGING_DIR", "/var/tmp"));
    let conf = DatastoreConf::load(&call.caller.called_as)?;
    let content = formatted(staging, size_bytes, &fs, &conf, xe.transfer_limit)?;
    let sr = match Some(sr_name.as_str())
        .filter(|name| !name.is_empty())
        .or_else(|| call.conf.optional("DEFAULT_SR"))
    {
        Some(name) => sr::named(&xe, name).context("XCP_SR")?,
        None => sr::pool_default(&xe)?.context("the datastore has no XCP_SR, and the pool no default SR")?,
    };
    let name = mark::vdi_name(vm_id, disk_id);
    if let Some(done) = clone::clear_unfinished(&xe, &name, place)? {
        report::info(format!("disk {disk_id} is there already, as VDI {done}"));
        return Ok(String::new());
    }
    let undo = Undo::new(&xe);
    let filling = make::to_be_filled(&xe, &undo, &sr, &name, size_bytes, std::slice::from_ref(&name))?;
    if let Some(mut content) = content {
        fill::from_image(&xe, &filling.uuid, &mut content, size_bytes)?;
    }
    let uuid = filling.done(&xe)?;
    place.write(&uuid.to_string())?;
    undo.keep();
    Ok(String::new())
}
