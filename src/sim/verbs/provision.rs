//! The disks that a template asks for when a VM is made from it (xapi `xapi_templates.ml`).

use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, internal};
use crate::sim::row::{Class, Row};
use crate::sim::storage;
use quick_xml::Reader;
use quick_xml::events::Event;

/// A disk that a template wants.
#[derive(Default)]
struct Wanted {
    device: String,
    size: i64,
    bootable: bool,
}

/// Reads `<provision><disk device= size= sr= bootable= type=/>…</provision>`.
fn wanted(document: &str) -> Outcome<Vec<Wanted>> {
    let broken = |error: &dyn std::fmt::Display| internal(format!("XML error: {error}"));
    let mut reader = Reader::from_str(document);
    let mut disks = Vec::new();
    loop {
        let element = match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => element,
            Ok(Event::Eof) => return Ok(disks),
            Ok(_) => continue,
            Err(error) => return Err(broken(&error)),
        };
        if element.name().as_ref() != "disk" {
            continue;
        }
        let mut disk = Wanted::default();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| broken(&error))?;
            let value = attribute.value.to_string();
            match attribute.key.as_ref() {
                "device" => disk.device = value,
                "size" => {
                    disk.size = value.parse().map_err(|error: std::num::ParseIntError| broken(&error))?;
                }
                "bootable" => disk.bootable = value == "true",
                _ => {}
            }
        }
        disks.push(disk);
    }
}

/// Makes the disks that the template asks for.
pub fn disks(pool: &mut Pool, vm: &str, document: &str, sr: &str) -> Outcome<()> {
    for disk in wanted(document)? {
        storage::check_new(pool, sr, disk.size)?;
        let mut vdi = Row::new(Class::Vdi, pool.new_uuid());
        vdi.set("name-label", disk.device.clone());
        vdi.set("name-description", "Created by template provisioner");
        vdi.set("sr-uuid", sr.to_owned());
        vdi.set("location", vdi.uuid.clone());
        vdi.set("type", "System");
        vdi.set("virtual-size", disk.size.to_string());
        vdi.put("sm-config", "vmhint", vm.to_owned());
        let mut vbd = Row::new(Class::Vbd, pool.new_uuid());
        vbd.set("vm-uuid", vm.to_owned());
        vbd.set("vdi-uuid", vdi.uuid.to_string());
        vbd.set("userdevice", disk.device);
        vbd.set("bootable", disk.bootable.to_string());
        vbd.set("unpluggable", "false");
        vbd.put("other-config", "owner", "");
        pool.insert(vdi);
        pool.insert(vbd);
    }
    Ok(())
}
