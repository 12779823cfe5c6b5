//! How a VM's memory is set, with XAPI's checks (xapi `xapi_vm_memory_constraints.ml`).

use super::size;
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, invalid_value, refused};
use crate::sim::row::{Class, Row};

/// The four limits in the order that must hold among them.
const LIMITS: [&str; 4] =
    ["memory-static-min", "memory-dynamic-min", "memory-dynamic-max", "memory-static-max"];

/// Checks the order of the limits of memory.
pub fn check_limits(limits: [i64; 4]) -> Outcome<()> {
    if limits.is_sorted() { Ok(()) } else { Err(refused("MEMORY_CONSTRAINT_VIOLATION_ORDER", vec![])) }
}

/// Sets all four limits: static-min, dynamic-min, dynamic-max, static-max.
pub fn memory_limits(pool: &mut Pool, uuid: &str, limits: [i64; 4]) -> Outcome<()> {
    check_limits(limits)?;
    let row = pool.edit(Class::Vm, uuid)?;
    for (name, limit) in LIMITS.into_iter().zip(limits) {
        row.set(name, limit.to_string());
    }
    Ok(())
}

/// The limits of a VM: static-min, dynamic-min, dynamic-max, static-max.
pub fn limits_of(row: &Row) -> [i64; 4] {
    LIMITS.map(|name| row.number(name))
}

fn limit(pool: &mut Pool, uuid: &str, name: &'static str, value: &str) -> Outcome<()> {
    let value = size(name, value)?;
    let is_static = name.contains("static");
    let operation =
        if is_static { lifecycle::Op::ChangingStaticRange } else { lifecycle::Op::ChangingDynamicRange };
    lifecycle::check(pool, uuid, operation)?;
    let mut limits = limits_of(pool.get(Class::Vm, uuid)?);
    for (known, limit) in LIMITS.iter().zip(limits.iter_mut()) {
        if *known == name {
            *limit = value;
        }
    }
    memory_limits(pool, uuid, limits)?;
    balloon(pool, uuid)
}

/// A running guest's memory follows its dynamic range.
pub fn balloon(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    let row = pool.edit(Class::Vm, uuid)?;
    if ["running", "paused"].contains(&row.get("power-state")) {
        let target = row.get("memory-dynamic-max").to_owned();
        row.set("memory-target", target.clone());
        row.set("memory-actual", target);
    }
    Ok(())
}

pub fn static_max(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-static-max", value)
}

pub fn dynamic_max(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-dynamic-max", value)
}

pub fn dynamic_min(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-dynamic-min", value)
}

pub fn static_min(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-static-min", value)
}

pub fn shadow_multiplier(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let number: f64 = value
        .parse()
        .map_err(|_| Fail::Cli("Parameter HVM-shadow-multiplier must be a floating-point number".into()))?;
    lifecycle::expect(pool, uuid, &["halted"])?;
    if number < 1.0 {
        return Err(invalid_value("multiplier", value));
    }
    pool.set(Class::Vm, uuid, "HVM-shadow-multiplier", &format!("{number:.3}"))
}
