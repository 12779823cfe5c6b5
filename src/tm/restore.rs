//! `restore HOST:VM_FOLDER VM_ID BACKUP_IMAGE_ID INCREMENT_ID DISK_ID`: the disks of a VM that is off hold again what
//! a backup held; a DISK_ID of -1 means all of them.
//!
//! Everything is in the pool before the first disk is replaced.

use super::place::Place;
use super::{Call, disk, prebackup, show};
use crate::process;
use crate::report::{self, Result};
use crate::storage::content::{Content, Source};
use crate::storage::swap::{self, How};
use crate::storage::{fill, make, vdi_size_bytes};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::Xe;
use crate::xe::vdi::Vdi;
use anyhow::{Context, ensure};
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;

pub fn run(call: &Call) -> Result<String> {
    let folder: Place = call.word(0, "the VM's folder")?;
    let vm_id: u32 = call.word(1, "the VM's id")?;
    let only: i64 = call.word(4, "the disk's id")?;
    let urls = urls(call, vm_id)?;
    let wanted: Vec<(u32, String)> = urls
        .into_iter()
        .filter_map(|(id, url)| Some((id.parse::<u32>().ok()?, url)))
        .filter(|(id, _)| only < 0 || i64::from(*id) == only)
        .collect();
    ensure!(!wanted.is_empty(), "the backup holds no such disk");
    let xe = call.xe(&folder, folder.ds_id()?)?;
    let ids: Vec<u32> = wanted.iter().map(|(id, _)| *id).collect();
    prebackup::clear(&xe, vm_id, &ids)?;
    let undo = Undo::new(&xe);
    let mut restored = Vec::new();
    for (id, url) in &wanted {
        let place = folder.below(&format!("disk.{id}"));
        let now = disk::vdi(&xe, &place)?;
        let from = bring(call, &xe, &undo, vm_id, *id, url, &now)
            .with_context(|| format!("cannot restore disk {id}"))?;
        restored.push((place, now, from));
    }
    for (place, now, from) in &restored {
        let name = swap::name_of(now, &mark::vdi_name(vm_id, place.need_disk_id()?));
        swap::finish(&xe, now, &name)?;
        swap::replace(&xe, now, from, How::Cloned, &name, &|uuid| place.write(&uuid.to_string()))?;
    }
    // What was brought has been cloned: dropped here, it goes.
    Ok(String::new())
}

/// The backup of one disk, as a VDI beside the disk's own.
fn bring(
    call: &Call,
    xe: &Xe,
    undo: &Undo<'_>,
    vm_id: u32,
    disk_id: u32,
    url: &str,
    now: &Vdi,
) -> Result<Vdi> {
    let source = Source {
        path: url,
        size_mb: Some(now.virtual_size_bytes.div_ceil(crate::storage::MB)),
        no_decompress: true,
        md5: "",
        sha1: "",
        limit_transfer_bw: "",
        downloader: call.datastore_script("downloader.sh"),
        request: String::new(),
        staging_dir: Path::new(call.conf.text("STAGING_DIR", "/var/tmp")),
        limit: xe.transfer_limit,
        stop: &xe.stop,
    };
    let content = source.open()?;
    let size_bytes = vdi_size_bytes(content.size_bytes()).max(now.virtual_size_bytes);
    let name = mark::backup_name(vm_id, disk_id);
    let filling = make::to_be_filled(xe, undo, &now.sr_uuid, &name, size_bytes, std::slice::from_ref(&name))?;
    match content {
        Content::Image { mut image } => {
            fill::from_image(xe, &filling.uuid, &mut image, size_bytes)?;
        }
        Content::Stream { producer, from, .. } => {
            fill::from_stream(xe, &filling.uuid, producer, from, size_bytes)?;
        }
    }
    let uuid = filling.done(xe)?;
    Vdi::find(xe, &uuid)?.with_context(|| format!("VDI {uuid} is gone"))
}

/// Where the backup datastore's own script says the disks are: pairs of disk id and URL.
fn urls(call: &Call, vm_id: u32) -> Result<Vec<(String, String)>> {
    let (image_id, increment): (u32, i64) =
        (call.word(2, "the backup's id")?, call.word(3, "the increment's id")?);
    let (vm, image) = (show::vm(vm_id)?, show::image(image_id)?);
    let ds_id = image.text("DATASTORE_ID").parse().context("the backup's DATASTORE_ID")?;
    let datastore = show::datastore(ds_id)?;
    let mad = datastore.text("DS_MAD");
    let is_a_name = !mad.is_empty() && mad.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let script = call.datastore_script(&format!("{}/ls", mad.to_ascii_lowercase())).filter(|_| is_a_name);
    let script = script.with_context(|| format!("there is no datastore/{mad}/ls of OpenNebula's here"))?;
    let mut message = tempfile::tempfile()?;
    let parts = [datastore.xml(), vm.xml(), image.xml()].concat();
    write!(message, "<DS_DRIVER_ACTION_DATA>{parts}</DS_DRIVER_ACTION_DATA>")?;
    message.rewind()?;
    let mut command = Command::new(&script);
    command.args(["-i", &increment.to_string()]);
    let limit = call.conf.seconds("XE_TIMEOUT", 300)?;
    let said = process::output_from(&mut command, message.into(), limit, None)?;
    let complaint = report::one_line(&String::from_utf8_lossy(&said.stderr));
    ensure!(said.status.success(), "{}: {complaint}", script.display());
    Ok(pairs(&String::from_utf8_lossy(&said.stdout)))
}

/// `{"0":"rsync://…","1":"…"}`: JSON of words without quotes in them.
fn pairs(json: &str) -> Vec<(String, String)> {
    let mut words = json.split('"').skip(1).step_by(2).map(|word| word.replace("\\/", "/"));
    let mut pairs = Vec::new();
    while let (Some(id), Some(url)) = (words.next(), words.next()) {
        pairs.push((id, url));
    }
    pairs
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_disks_of_a_backup_are_told_from_each_other() {
        let pairs = super::pairs(r#"{"0":"rsync://100//0:a4/x/disk.0.0","tpm":"rsync:\/\/b"}"#);
        assert_eq!(pairs[0], ("0".into(), "rsync://100//0:a4/x/disk.0.0".into()));
        assert_eq!(pairs[1], ("tpm".into(), "rsync://b".into()));
        assert!(super::pairs("{}").is_empty());
    }
}
