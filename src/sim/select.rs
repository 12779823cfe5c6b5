//! Choosing the VMs or hosts that a command is about (xapi `cli_operations.ml` `select_vms`, `do_vm_op`).

use super::arguments::Command;
use super::call::Call;
use super::fields;
use super::filter::filter;
use super::listed::STANDARD;
use super::pool::Pool;
use super::refuse::{Fail, Outcome, cli};
use super::row::{Class, Row};

/// Which VMs may be chosen besides plain ones, and how many.
#[derive(Clone, Copy)]
pub struct Choice {
    pub control_domains: bool,
    pub templates: bool,
    pub several: bool,
}

/// Plain VMs, several with `--multiple`.
pub const VMS: Choice = Choice { control_domains: false, templates: false, several: true };

/// The VMs that the parameters select; `own` are parameters of the command that select nothing.
pub fn vms(pool: &Pool, command: &Command, choice: Choice, own: &[&str]) -> Outcome<Vec<String>> {
    let mut rows: Vec<&Row> = pool.rows(Class::Vm).iter().collect();
    if let Some(wanted) = command.get("vm") {
        rows.retain(|row| row.uuid == wanted || row.get("name-label") == wanted);
    }
    if !choice.templates {
        rows.retain(|row| !row.is("is-a-template"));
    }
    if !choice.control_domains {
        rows.retain(|row| !row.is("is-control-domain"));
    }
    let mut passed = command.get("vm").is_none();
    for (key, value) in &command.params {
        if key == "vm" && !passed {
            passed = true;
            continue;
        }
        if is_own(key, own) {
            continue;
        }
        rows = filter(pool, fields::VM, rows, key, value)?;
    }
    Ok(rows.iter().map(|row| row.uuid.to_string()).collect())
}

fn is_own(key: &str, own: &[&str]) -> bool {
    let stem = key.split_once(':').map_or(key, |(stem, _)| stem);
    STANDARD.contains(&stem) || own.contains(&stem)
}

/// Does something to each VM that the command selects.
pub fn each_vm(
    pool: &mut Pool,
    call: &mut Call,
    choice: Choice,
    own: &[&str],
    mut work: impl FnMut(&mut Pool, &mut Call, &str) -> Outcome<()>,
) -> Outcome<()> {
    let chosen = chosen_vms(pool, &call.command, choice, own)?;
    if let [uuid] = chosen.as_slice() {
        return work(pool, call, uuid);
    }
    let mut failures = Vec::new();
    for uuid in &chosen {
        match work(pool, call, uuid) {
            Ok(()) => call.keep = true,
            Err(fail) => failures.insert(0, (uuid.clone(), fail.message())),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Fail::Multiple(failures)) }
}

/// The VMs that the command selects: one, or several with `--multiple`.
pub fn chosen_vms(pool: &Pool, command: &Command, choice: Choice, own: &[&str]) -> Outcome<Vec<String>> {
    let chosen = vms(pool, command, choice, own)?;
    match chosen.len() {
        0 => cli("No matching VMs found"),
        1 => Ok(chosen),
        _ if !choice.several => {
            cli("Multiple matches VMs found. Operation can only be performed on one VM at a time")
        }
        _ if command.flag("multiple", false)? => Ok(chosen),
        _ => cli("Multiple matches VMs found. --multiple required to complete the operation"),
    }
}

/// The hosts that the command selects.
pub fn hosts(pool: &Pool, command: &Command, several: bool, own: &[&str]) -> Outcome<Vec<String>> {
    let mut rows: Vec<&Row> = pool.rows(Class::Host).iter().collect();
    if let Some(wanted) = command.get("host") {
        rows.retain(|row| {
            row.uuid == wanted || row.get("hostname") == wanted || row.get("name-label") == wanted
        });
    }
    for (key, value) in command.params.iter().filter(|(key, _)| key != "host" && !is_own(key, own)) {
        rows = filter(pool, fields::HOST, rows, key, value)?;
    }
    match rows.len() {
        0 => cli("No matching hosts found"),
        1 => Ok(rows.iter().map(|row| row.uuid.to_string()).collect()),
        _ if !several => {
            cli("Multiple matching hosts found. Operation can only be performed on one host at a time")
        }
        _ if command.flag("multiple", false)? => Ok(rows.iter().map(|row| row.uuid.to_string()).collect()),
        _ => cli("Multiple matching hosts found. --multiple required to complete the operation"),
    }
}

/// The host that `on=` or `host=` names (xapi `get_host_by_name_or_id`).
pub fn host(pool: &Pool, name: &str) -> Outcome<String> {
    let found = pool.rows(Class::Host).iter().find(|row| row.get("name-label") == name || row.uuid == name);
    found.map(|row| row.uuid.to_string()).ok_or_else(|| Fail::Cli(format!("Host {name} not found")))
}
