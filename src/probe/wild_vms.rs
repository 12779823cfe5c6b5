//! The VMs on the host that OpenNebula did not make, each with a template to take it over by
//! (`onehost importvm`, OpenNebula up to 6.10; later releases only show them).

use super::{Subject, of_host_or_pool};
use crate::one::Release;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::{Record, Uuid, Xe, free_text, record::map_value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt::Write;

/// Fields that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 5] = ["uuid", "resident-on", "memory-dynamic-max", "VCPUs-at-startup", "other-config"];
/// VMs may come and go while their names are asked for.
const TRIES: usize = 3;
/// The longest name that OpenNebula gives a VM.
const NAME_CHARS: usize = 128;

/// A VM that has not the marks of one of OpenNebula's.
pub struct Stranger {
    pub uuid: Uuid,
    pub name: String,
    memory_mb: u64,
    vcpus: u32,
}

pub fn run(subject: &Subject<'_>) -> Result<String> {
    let release = Release::beside(subject.called_as);
    let mut text = String::new();
    for vm in all(subject.xe, subject.host)? {
        let template = STANDARD.encode(vm.template(release.as_ref()));
        _ = writeln!(
            text,
            "VM = [ ID=\"-1\", DEPLOY_ID=\"{}\", VM_NAME=\"{}\", IMPORT_TEMPLATE=\"{template}\" ]",
            vm.uuid, vm.name
        );
    }
    Ok(text)
}

/// The wild VMs on a host: neither templates nor snapshots, which `vm-list` leaves out, nor control domains.
pub fn all(xe: &Xe, host: &Uuid) -> Result<Vec<Stranger>> {
    let name = host.to_string();
    let filters = [("resident-on", name.as_str()), ("is-control-domain", "false")];
    let filters = of_host_or_pool(xe, &filters);
    for _ in 0..TRIES {
        let listed = xe.list("vm", &FIELDS, filters, |record| read(record, host))?;
        if listed.iter().all(|(_, stranger)| stranger.is_none()) {
            return Ok(Vec::new());
        }
        let uuids: Vec<Uuid> = listed.iter().map(|(uuid, _)| uuid.clone()).collect();
        if let Some(names) = free_text::of_vms(xe, "name-label", filters, &uuids)? {
            let strangers = listed.into_iter().filter_map(|(_, stranger)| stranger);
            return Ok(strangers.filter_map(|stranger| stranger.named(&names)).collect());
        }
    }
    // Nothing is said rather than something wrong; the next round tells.
    Ok(Vec::new())
}

/// A copy of a VM has all its marks; only the VM whose mark is its own is OpenNebula's.
fn read(record: &Record<'_>, host: &Uuid) -> Result<(Uuid, Option<Stranger>)> {
    let uuid: Uuid = record.get("uuid")?;
    let is_here = record.optional::<Uuid>("resident-on")?.as_ref() == Some(host);
    if !is_here || map_value(record.text("other-config"), mark::VM_UUID) == Some(record.text("uuid")) {
        return Ok((uuid, None));
    }
    let stranger = Stranger {
        uuid: uuid.clone(),
        name: String::new(),
        memory_mb: record.text("memory-dynamic-max").parse::<u64>().unwrap_or(0).div_ceil(1 << 20),
        vcpus: record.text("VCPUs-at-startup").parse().unwrap_or(1),
    };
    Ok((uuid, Some(stranger)))
}

impl Stranger {
    /// None for one that bears the name of one of OpenNebula's: being made, or left over.
    fn named(self, names: &HashMap<Uuid, String>) -> Option<Stranger> {
        let given = names.get(&self.uuid).map(String::as_str).unwrap_or_default();
        let number = given.strip_prefix("one-");
        if number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit())) {
            return None;
        }
        let name = super::harmless(given).trim().chars().take(NAME_CHARS).collect::<String>();
        let name = if name.is_empty() { self.uuid.to_string() } else { name };
        Some(Stranger { name, ..self })
    }

    /// As OpenNebula's probe of KVM writes it; the id under which each release looks for it.
    pub fn template(&self, release: Option<&Release>) -> String {
        let id = if release.is_some_and(Release::polls) { "IMPORT_VM_ID" } else { "DEPLOY_ID" };
        let Stranger { uuid, name, memory_mb, vcpus } = self;
        format!(
            "NAME=\"{name}\"\nCPU={vcpus}\nVCPU={vcpus}\nMEMORY={memory_mb}\nHYPERVISOR=\"xcp\"\n{id}=\"{uuid}\"\n\
             OS=[ARCH=\"{}\"]\n",
            std::env::consts::ARCH
        )
    }
}
