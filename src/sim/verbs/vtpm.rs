//! VTPMs: one a VM, made and destroyed while it is halted (xapi `xapi_vtpm.ml`).

use super::power;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, refused};
use crate::sim::row::{Class, Row};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "vtpm-create", required: &["vm-uuid"], optional: &[], run: Run::Changes(create) },
    Verb { name: "vtpm-destroy", required: &["uuid"], optional: &["force"], run: Run::Changes(destroy) },
];

fn create(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let vm = pool.get(Class::Vm, call.command.need("vm-uuid")?)?.uuid.to_string();
    let unique = call.command.flag("is_unique", false)?;
    let there = pool.referring(Class::Vtpm, "vm-uuid", &vm).len();
    if there > 0 {
        return Err(refused("VTPM_MAX_AMOUNT_REACHED", vec![Param::text(there.to_string())]));
    }
    lifecycle::expect(pool, &vm, &["halted"])?;
    let uuid = introduce(pool, &vm, unique);
    call.out.list(&[uuid]);
    Ok(())
}

fn introduce(pool: &mut Pool, vm: &str, unique: bool) -> String {
    let mut row = Row::new(Class::Vtpm, pool.new_uuid());
    row.set("vm-uuid", vm.to_owned());
    row.set("is_unique", unique.to_string());
    let uuid = row.uuid.to_string();
    pool.insert(row);
    uuid
}

/// A copy of a VM has a TPM of its own.
pub fn copy(pool: &mut Pool, from: &str, to: &str) {
    let unique: Vec<bool> =
        pool.referring(Class::Vtpm, "vm-uuid", from).iter().map(|vtpm| vtpm.is("is_unique")).collect();
    for unique in unique {
        introduce(pool, to, unique);
    }
}

fn destroy(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    power::forced(call)?;
    let row = pool.get(Class::Vtpm, call.command.need("uuid")?)?;
    let (uuid, vm) = (row.uuid.to_string(), row.get("vm-uuid").to_owned());
    lifecycle::expect(pool, &vm, &["halted"])?;
    pool.remove(Class::Vtpm, &uuid);
    Ok(())
}
