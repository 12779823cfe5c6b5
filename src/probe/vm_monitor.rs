//! `vm/monitor`: what OpenNebula's VMs on the host use.

use super::counters::COUNTED;
use super::{Counters, Subject};
use crate::report::Result;
use crate::translate::mark;
use crate::xe::{Record, Uuid, record::map_value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Fields that no tenant can write, and so safe to read from a list.
const FIELDS: [&str; 4] = ["uuid", "resident-on", "memory-actual", "other-config"];

/// One line for each VM, in one call of `xe` for all of them.
pub fn run(subject: &Subject<'_>) -> Result<String> {
    let host = subject.host.to_string();
    let filters = [("resident-on", host.as_str()), ("is-control-domain", "false")];
    let lines = subject.xe.list("vm", &FIELDS, &filters, |record| describe(record, subject))?;
    Ok(lines.concat())
}

fn describe(record: &Record<'_>, subject: &Subject<'_>) -> Result<String> {
    let other_config = record.text("other-config");
    let vm_id = map_value(other_config, mark::VM_ID).and_then(|id| id.parse::<u32>().ok());
    let is_original = map_value(other_config, mark::VM_UUID) == Some(record.text("uuid"));
    let Some(vm_id) = vm_id.filter(|_| is_original) else { return Ok(String::new()) };
    if record.optional::<Uuid>("resident-on")?.as_ref() != Some(subject.host) {
        return Ok(String::new());
    }
    let uuid: Uuid = record.get("uuid")?;
    let mut use_of_it = String::new();
    if let Ok(bytes) = record.text("memory-actual").parse::<u64>() {
        _ = writeln!(use_of_it, "MEMORY=\"{}\"", bytes / 1024);
    }
    if let Some(counters) = subject.counters {
        measured(&mut use_of_it, &uuid, counters);
    }
    let packed = STANDARD.encode(use_of_it);
    Ok(format!("VM = [ ID=\"{vm_id}\", DEPLOY_ID=\"{uuid}\", MONITOR=\"{packed}\" ]\n"))
}

/// CPU in percent of one CPU, and the counters.
fn measured(text: &mut String, uuid: &Uuid, counters: &Counters) {
    if let Some(cpu) = counters.cpu_percent(uuid) {
        _ = writeln!(text, "CPU=\"{cpu:.1}\"");
    }
    for (figure, name) in COUNTED {
        if let Some(count) = counters.count(uuid, figure) {
            _ = writeln!(text, "{name}=\"{count}\"");
        }
    }
}
