//! New VMs: from a template, from nothing, as clone or copy of another.

use super::cloning::{How, copy_vm};
use super::provision;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::fields;
use crate::sim::filter::filter;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli};
use crate::sim::row::{Class, Row};
use crate::sim::select::{Choice, VMS, chosen_vms};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vm-install",
        required: &["new-name-label"],
        optional: &["sr-name-label", "sr-uuid", "template", "copy-bios-strings-from"],
        run: Run::Changes(install),
    },
    Verb {
        name: "vm-create",
        required: &["name-label"],
        optional: &["name-description"],
        run: Run::Changes(create),
    },
    Verb {
        name: "vm-clone",
        required: &["new-name-label"],
        optional: &["new-name-description"],
        run: Run::Changes(clone),
    },
    Verb {
        name: "vm-copy",
        required: &["new-name-label"],
        optional: &["new-name-description", "sr-uuid"],
        run: Run::Changes(copy),
    },
];

/// The template that the parameters name (xapi `cli_operations.ml` `vm_install`).
fn template(pool: &Pool, call: &Call) -> Outcome<String> {
    let by_name = |name: &str| {
        let mut rows: Vec<&Row> = pool.rows(Class::Vm).iter().collect();
        for (key, value) in [("name-label", name), ("is-a-template", "true"), ("is-control-domain", "false")]
        {
            rows = filter(pool, fields::VM, rows, key, value)?;
        }
        match rows.as_slice() {
            [] => cli("No templates matched"),
            [row] => Ok(row.uuid.to_string()),
            _ => cli("More than one matching template found"),
        }
    };
    let command = &call.command;
    if let Some(uuid) = command.get("template-uuid") {
        return match pool.find(Class::Vm, uuid) {
            Some(row) => Ok(row.uuid.to_string()),
            None => cli("Cannot find template"),
        };
    }
    if let Some(name) = command.get("template-name-label").or_else(|| command.get("template-name")) {
        return by_name(name);
    }
    match command.get("template") {
        Some(name) => match pool.find(Class::Vm, name) {
            Some(row) => Ok(row.uuid.to_string()),
            None => by_name(name),
        },
        None => cli(
            "Template must be specified by parameter 'template-uuid', 'template-name', 'template-name-label' or \
             'template'",
        ),
    }
}

/// The SR that the parameters name, if any.
fn named_sr(pool: &Pool, call: &Call, from_snapshot: bool) -> Outcome<Option<String>> {
    let (uuid, name) = (call.command.get("sr-uuid"), call.command.get("sr-name-label"));
    if from_snapshot && (uuid.is_some() || name.is_some()) {
        return cli(
            "Do not use the sr-name-label or sr-uuid argument when installing from a snapshot. By default, it will \
             install each new disk on the same SR as the corresponding snapshot disks.",
        );
    }
    let by_uuid = uuid.map(|uuid| pool.get(Class::Sr, uuid)).transpose()?;
    let Some(name) = name else { return Ok(by_uuid.map(|row| row.uuid.to_string())) };
    let named: Vec<&Row> = pool.rows(Class::Sr).iter().filter(|row| row.get("name-label") == name).collect();
    match (by_uuid, named.as_slice()) {
        (_, []) => cli("No SR with that name-label found"),
        (Some(row), named) if named.iter().any(|other| other.uuid == row.uuid) => {
            Ok(Some(row.uuid.to_string()))
        }
        (Some(_), _) => cli("SR specified via sr-uuid doesn't have the name specified via sr-name-label"),
        (None, [row]) => Ok(Some(row.uuid.to_string())),
        (None, _) => cli("Multiple SRs with that name-label found"),
    }
}

fn install(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let template = template(pool, call)?;
    let row = pool.get(Class::Vm, &template)?;
    if !row.is("is-a-template") {
        return cli("Can only install from templates");
    }
    let provisions = row.entry("other-config", "disks").is_some();
    let sr = named_sr(pool, call, row.is("is-a-snapshot"))?;
    let default = pool.own()?.get("default-SR").to_owned();
    let disks_on = match &sr {
        Some(sr) => sr.clone(),
        None if pool.find(Class::Sr, &default).is_some() => default,
        None if provisions => {
            return cli(
                "Failed to find a valid default SR for the Pool. Please provide an sr-name-label or sr-uuid parameter.",
            );
        }
        None => String::new(),
    };
    let name = call.command.need("new-name-label")?.to_owned();
    let how = if sr.is_some() { How::Copy(sr.as_deref()) } else { How::Clone };
    let vm = copy_vm(pool, &template, &name, how, &[])?;
    let now = pool.now();
    let row = pool.edit(Class::Vm, &vm)?;
    row.set("name-description", "Installed via xe CLI");
    row.set("is-a-template", "false");
    row.set("install-time", now);
    if let Some(sr) = sr {
        row.set("suspend-SR-uuid", sr);
    }
    let disks = row.entry("other-config", "disks").map(str::to_owned);
    row.take("other-config", "disks");
    if let Some(disks) = disks {
        provision::disks(pool, &vm, &disks, &disks_on)?;
    }
    call.out.list(&[vm]);
    Ok(())
}

fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let mut vm = Row::new(Class::Vm, pool.new_uuid());
    vm.set("name-label", call.command.need("name-label")?.to_owned());
    vm.set("name-description", call.command.get("name-description").unwrap_or_default().to_owned());
    vm.set("user-version", "0");
    vm.set("memory-dynamic-min", "134217728");
    vm.set("actions-after-crash", "Destroy");
    vm.set("domain-type", "pv");
    vm.set("HVM-boot-policy", "");
    vm.put("other-config", "mac_seed", pool.new_uuid());
    let uuid = vm.uuid.to_string();
    pool.insert(vm);
    call.out.list(&[uuid]);
    Ok(())
}

fn clone(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let own = ["new-name-label", "new-name-description", "ignore-vdi-uuids"];
    let choice = Choice { templates: true, ..VMS };
    copied(pool, call, choice, &own, Op::Clone, How::Clone)
}

fn copy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let sr = call.command.get("sr-uuid").map(str::to_owned);
    if let Some(sr) = &sr {
        pool.get(Class::Sr, sr)?;
    }
    let own = ["new-name-label", "sr-uuid", "new-name-description"];
    let choice = Choice { templates: true, several: false, ..VMS };
    copied(pool, call, choice, &own, Op::Copy, How::Copy(sr.as_deref()))
}

fn copied(pool: &mut Pool, call: &mut Call, choice: Choice, own: &[&str], op: Op, how: How) -> Outcome<()> {
    let name = call.command.need("new-name-label")?.to_owned();
    let description = call.command.get("new-name-description").map(str::to_owned);
    let mut made = Vec::new();
    for vm in chosen_vms(pool, &call.command, choice, own)? {
        lifecycle::check(pool, &vm, op)?;
        made.push(copy_vm(pool, &vm, &name, how, &[])?);
    }
    if let (Some(description), Some(first)) = (description, made.first()) {
        pool.set(Class::Vm, first, "name-description", &description)?;
    }
    call.out.list(&made);
    Ok(())
}
