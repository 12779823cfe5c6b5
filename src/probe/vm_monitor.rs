//! `vm/monitor`: what OpenNebula's VMs on the host use.

use super::counters::COUNTED;
use super::{Counters, Details, Subject, of_host_or_pool};
use crate::one::Release;
use crate::report::Result;
use crate::translate::{figure, mark};
use crate::xe::{Record, Uuid, record::map_value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::PoisonError;

/// Fields that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 4] = ["uuid", "resident-on", "memory-actual", "other-config"];

/// A VM on the host.
struct Resident {
    uuid: Uuid,
    /// OpenNebula's number, if it is OpenNebula's.
    vm_id: Option<u32>,
    memory_actual_bytes: Option<u64>,
}

/// What a VM on the host uses.
pub struct Use {
    pub uuid: Uuid,
    /// OpenNebula's number, if it is OpenNebula's.
    pub vm_id: Option<u32>,
    /// `NAME="value"` lines.
    pub text: String,
}

/// One line for each VM; of the others only where OpenNebula may have imported them.
pub fn run(subject: &Subject<'_>) -> Result<String> {
    let imports = Release::beside(subject.called_as).is_some_and(|release| release.imports());
    let mut text = String::new();
    for Use { uuid, vm_id, text: used } in all(subject)? {
        if vm_id.is_none() && !imports {
            continue;
        }
        let id = vm_id.map_or("-1".to_owned(), |vm_id| vm_id.to_string());
        let packed = STANDARD.encode(used);
        _ = writeln!(text, "VM = [ ID=\"{id}\", DEPLOY_ID=\"{uuid}\", MONITOR=\"{packed}\" ]");
    }
    Ok(text)
}

/// All VMs on the host. The number of calls does not depend on how many there are.
pub fn all(subject: &Subject<'_>) -> Result<Vec<Use>> {
    let host = subject.host.to_string();
    let filters = [("resident-on", host.as_str()), ("is-control-domain", "false")];
    let filters = of_host_or_pool(subject.xe, &filters);
    // Of two under one number the younger is told of, as in STATE_VM.
    let superseded = RefCell::new(Vec::new());
    let read = |record: &Record<'_>| {
        let is_here = record.optional::<Uuid>("resident-on")?.as_ref() == Some(subject.host);
        let other_config = record.text("other-config");
        if map_value(other_config, mark::VM_UUID) == Some(record.text("uuid")) {
            superseded.borrow_mut().extend(mark::supersedes(other_config));
        }
        Ok((record.get::<Uuid>("uuid")?, is_here.then(|| Resident::read(record)).transpose()?))
    };
    let (listed, residents): (Vec<Uuid>, Vec<_>) =
        subject.xe.list("vm", &FIELDS, filters, read)?.into_iter().unzip();
    let superseded = superseded.into_inner();
    let residents = residents.into_iter().flatten();
    let residents: Vec<Resident> = residents.filter(|vm: &Resident| !superseded.contains(&vm.uuid)).collect();
    let mut details = subject.details.lock().unwrap_or_else(PoisonError::into_inner);
    if residents.iter().any(|vm| vm.vm_id.is_some()) {
        details.refresh(subject.xe, filters, &listed)?;
    }
    let mut asked = HashMap::new();
    if !subject.is_measured {
        let ours = residents.iter().filter(|vm| vm.vm_id.is_some());
        let ours: Vec<Uuid> = ours.map(|vm| vm.uuid.clone()).collect();
        asked = details.cpu_asked.ask(subject.xe, &ours);
    }
    let told = |vm: Resident| {
        let mut text = vm.describe(subject.counters, &details);
        if let Some(cpu) = asked.get(&vm.uuid).copied().and_then(figure::decimal) {
            _ = writeln!(text, "CPU=\"{cpu}\"");
        }
        Use { text, uuid: vm.uuid, vm_id: vm.vm_id }
    };
    Ok(residents.into_iter().map(told).collect())
}

impl Resident {
    /// A copy of a VM has all its marks; only the VM whose mark is its own is OpenNebula's.
    fn read(record: &Record<'_>) -> Result<Resident> {
        let other_config = record.text("other-config");
        let is_original = map_value(other_config, mark::VM_UUID) == Some(record.text("uuid"));
        let vm_id = map_value(other_config, mark::VM_ID).and_then(|id| id.parse().ok());
        Ok(Resident {
            uuid: record.get("uuid")?,
            vm_id: vm_id.filter(|_| is_original),
            memory_actual_bytes: record.text("memory-actual").parse().ok(),
        })
    }

    fn describe(&self, counters: Option<&Counters>, details: &Details) -> String {
        let mut text = String::new();
        if let Some(bytes) = self.memory_actual_bytes {
            _ = writeln!(text, "MEMORY=\"{}\"", bytes / 1024);
        }
        if let Some(counters) = counters {
            measured(&mut text, &self.uuid, counters);
        }
        details.write(&mut text, &self.uuid);
        text
    }
}

/// CPU in percent of one CPU, and the counters.
fn measured(text: &mut String, uuid: &Uuid, counters: &Counters) {
    if let Some(cpu) = counters.cpu_percent(uuid).and_then(figure::decimal) {
        _ = writeln!(text, "CPU=\"{cpu}\"");
    }
    for (counted, name) in COUNTED {
        if let Some(count) = counters.count(uuid, counted) {
            _ = writeln!(text, "{name}=\"{count}\"");
        }
        // What Sunstone draws since 7.0 (fireedge, modules/resources/VirtualMachine/Tabs/Network/graphs.js).
        if let Some(rate) = counters.per_second(uuid, counted).and_then(figure::decimal) {
            _ = writeln!(text, "{name}_BW=\"{rate}\"");
        }
    }
}
