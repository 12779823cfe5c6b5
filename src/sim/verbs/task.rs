//! Waiting for the pool, and looking into VMs.

use super::host::{self, Source};
use super::machine;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::fields;
use crate::sim::lifecycle;
use crate::sim::listed::{STANDARD, by_name};
use crate::sim::param::record;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli};
use crate::sim::row::{Class, Row};
use crate::sim::select::{Choice, VMS, chosen_vms};
use crate::sim::store::Store;
use crate::sim::task;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "event-wait", required: &["class"], optional: &[], run: Run::Waits(event_wait) },
    Verb { name: "task-cancel", required: &["uuid"], optional: &[], run: Run::Waits(cancel) },
    Verb { name: "vm-data-source-list", required: &[], optional: &[], run: Run::Reads(data_source_list) },
    Verb {
        name: "vm-data-source-query",
        required: &["data-source"],
        optional: &[],
        run: Run::Reads(data_source_query),
    },
    Verb { name: "diagnostic-vm-status", required: &["uuid"], optional: &[], run: Run::Reads(vm_status) },
];

/// Classes that can be waited for.
const WAITED: [&str; 11] = ["vm", "vdi", "sr", "host", "network", "vif", "pif", "vbd", "pbd", "pool", "task"];

/// Waits until some object of the class has all these values (`field=/=value`: has not).
fn event_wait(store: &Store, call: &mut Call) -> Outcome<()> {
    let class = call.command.need("class")?.to_owned();
    let Some(listed) = by_name(&class).filter(|_| WAITED.contains(&class.as_str())) else {
        return cli(format!("Cli listening for class '{class}' not currently implemented"));
    };
    let mut conditions = Vec::new();
    for (key, value) in &call.command.params {
        if key == "class" || STANDARD.contains(&key.as_str()) {
            continue;
        }
        let Some(field) = listed.fields.iter().find(|field| field.name == key) else {
            return cli(format!("key missing: {key}"));
        };
        conditions.push((field, value.strip_prefix("/=").unwrap_or(value), !value.starts_with("/=")));
    }
    store.wait_until(|pool| {
        let holds = |row: &Row| {
            conditions.iter().all(|(field, value, equal)| (field.value(pool, row) == *value) == *equal)
        };
        pool.rows(listed.class).iter().any(holds)
    })?;
    Ok(())
}

fn cancel(store: &Store, call: &mut Call) -> Outcome<()> {
    let pool = store.read()?;
    let task = pool.get(Class::Task, call.command.need("uuid")?)?;
    Ok(task::cancel(store, &task.uuid)?)
}

/// What is measured of a VM that has a domain.
#[expect(clippy::cast_precision_loss, reason = "a gauge is shown with six digits")]
pub fn sources(pool: &Pool, vm: &Row) -> Vec<Source> {
    let source = |name: String, description: String, max, units, value| Source {
        name,
        description,
        max,
        units,
        value,
    };
    let mut all = Vec::new();
    for cpu in 0..vm.number("VCPUs-number") {
        all.push(source(format!("cpu{cpu}"), format!("CPU{cpu} usage"), "1.000", "(fraction)", 0.012_346));
    }
    let memory = vm.number("memory-actual") as f64;
    all.push(source("memory".into(), "Memory currently allocated to VM".into(), "inf", "B", memory));
    if crate::sim::guest::has_tools(vm) {
        let free = "Memory used as reported by the guest agent".to_owned();
        all.push(source("memory_internal_free".into(), free, "inf", "KiB", memory / 4096.0));
    }
    all.push(source("memory_target".into(), "Target of VM balloon driver".into(), "inf", "B", memory));
    for vif in
        pool.referring(Class::Vif, "vm-uuid", &vm.uuid).iter().filter(|vif| vif.is("currently-attached"))
    {
        let device = vif.get("device");
        for (way, word) in [("rx", "received"), ("tx", "transmitted")] {
            let text = format!("Bytes per second {word} on virtual interface number '{device}'");
            all.push(source(format!("vif_{device}_{way}"), text, "inf", "B/s", 512.0));
        }
    }
    for vbd in
        pool.referring(Class::Vbd, "vm-uuid", &vm.uuid).iter().filter(|vbd| vbd.is("currently-attached"))
    {
        let device = vbd.get("device");
        for (way, word) in [("read", "Reads from"), ("write", "Writes to")] {
            let text = format!("{word} device '{device}' in bytes per second");
            all.push(source(format!("vbd_{device}_{way}"), text, "inf", "B/s", 2048.0));
        }
    }
    all
}

const ONE: Choice = Choice { control_domains: true, several: false, ..VMS };

fn data_source_list(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for vm in chosen_vms(pool, &call.command, ONE, &[])? {
        host::show(call, &sources(pool, pool.get(Class::Vm, &vm)?));
    }
    Ok(())
}

fn data_source_query(pool: &Pool, call: &mut Call) -> Outcome<()> {
    for vm in chosen_vms(pool, &call.command, ONE, &["data-source"])? {
        lifecycle::expect(pool, &vm, &["running", "paused"])?;
        host::query(call, &sources(pool, pool.get(Class::Vm, &vm)?))?;
    }
    Ok(())
}

fn vm_status(pool: &Pool, call: &mut Call) -> Outcome<()> {
    let vm = pool.get(Class::Vm, call.command.need("uuid")?)?;
    let shown = ["uuid", "name-label", "power-state", "possible-hosts"];
    call.out.table(&[record(pool, vm, fields::VM, Some(&shown), false)]);
    call.out.list(&["Checking to see whether disks are attachable"]);
    let shown =
        ["uuid", "userdevice", "device", "vdi-uuid", "empty", "mode", "type", "storage-lock", "attachable"];
    for vbd in pool.referring(Class::Vbd, "vm-uuid", &vm.uuid) {
        call.out.table(&[record(pool, vbd, fields::VBD, Some(&shown), false)]);
    }
    call.out.list(&["Checking to see whether VM can boot on each host"]);
    call.out.table(&[machine::host_report(pool, &vm.uuid)]);
    let agile =
        pool.rows(Class::Host).iter().all(|host| lifecycle::reaches(pool, &vm.uuid, &host.uuid, &[]).is_ok());
    call.out.list(&[if agile {
        "VM is agile."
    } else {
        "VM is not agile because: it needs storage or a network that some host does not reach"
    }]);
    Ok(())
}
