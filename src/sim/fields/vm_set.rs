//! How fields of a VM are set, with XAPI's checks (xapi `xapi_vm.ml`, `xapi_vm_memory_constraints.ml`).

use super::{expected, flag, integer, size, word};
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, invalid_value, refused};
use crate::sim::row::{Class, Row};

fn set(pool: &mut Pool, uuid: &str, name: &'static str, value: &str) -> Outcome<()> {
    pool.set(Class::Vm, uuid, name, value)
}

pub fn is_a_template(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let value = flag("is-a-template", value)?;
    lifecycle::check(pool, uuid, lifecycle::Op::MakeIntoTemplate)?;
    set(pool, uuid, "is-a-template", if value { "true" } else { "false" })
}

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

pub fn memory_static_max(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-static-max", value)
}

pub fn memory_dynamic_max(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-dynamic-max", value)
}

pub fn memory_dynamic_min(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-dynamic-min", value)
}

pub fn memory_static_min(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    limit(pool, uuid, "memory-static-min", value)
}

pub fn suspend_vdi(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    pool.get(Class::Vdi, value)?;
    lifecycle::expect(pool, uuid, &["suspended"])?;
    set(pool, uuid, "suspend-VDI-uuid", value)
}

pub fn suspend_sr(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    pool.get(Class::Sr, value)?;
    set(pool, uuid, "suspend-SR-uuid", value)
}

fn check_vcpus(max: i64, at_startup: i64) -> Outcome<()> {
    let rule = "VCPU values must satisfy: 0 < VCPUs_at_startup \u{2264} VCPUs_max";
    if max < 1 {
        return Err(invalid_value(rule, &max.to_string()));
    }
    if at_startup < 1 || at_startup > max {
        return Err(invalid_value(rule, &at_startup.to_string()));
    }
    Ok(())
}

pub fn vcpus_max(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let value = integer("VCPUs-max", value)?;
    lifecycle::expect(pool, uuid, &["halted"])?;
    check_vcpus(value, pool.get(Class::Vm, uuid)?.number("VCPUs-at-startup"))?;
    set(pool, uuid, "VCPUs-max", &value.to_string())
}

pub fn vcpus_at_startup(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let value = integer("VCPUs-at-startup", value)?;
    check_vcpus(pool.get(Class::Vm, uuid)?.number("VCPUs-max"), value)?;
    set(pool, uuid, "VCPUs-at-startup", &value.to_string())
}

const NORMAL_EXIT: &[(&str, &str)] = &[("destroy", "Destroy"), ("restart", "Restart")];
const SOFT_REBOOT: &[(&str, &str)] = &[
    ("soft_reboot", "Soft reboot"),
    ("destroy", "Destroy"),
    ("restart", "Restart"),
    ("preserve", "Preserve"),
];
const CRASH: &[(&str, &str)] = &[
    ("destroy", "Destroy"),
    ("coredump_and_destroy", "Core dump and destroy"),
    ("restart", "Restart"),
    ("coredump_and_restart", "Core dump and restart"),
    ("preserve", "Preserve"),
    ("rename_restart", "Rename restart"),
];

fn action(
    pool: &mut Pool,
    uuid: &str,
    name: &'static str,
    words: &[(&str, &'static str)],
    value: &str,
) -> Outcome<()> {
    let kept = word(words, value, || expected(words, value))?;
    set(pool, uuid, name, kept)
}

pub fn actions_after_shutdown(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    action(pool, uuid, "actions-after-shutdown", NORMAL_EXIT, value)
}

pub fn actions_after_softreboot(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    action(pool, uuid, "actions-after-softreboot", SOFT_REBOOT, value)
}

pub fn actions_after_reboot(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    action(pool, uuid, "actions-after-reboot", NORMAL_EXIT, value)
}

pub fn actions_after_crash(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    action(pool, uuid, "actions-after-crash", CRASH, value)
}

pub fn domain_type(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let words = [("hvm", "hvm"), ("pv", "pv"), ("pv-in-pvh", "pv-in-pvh"), ("pvh", "pvh")];
    let kept = word(&words, value, || format!("Invalid domain type. Got {value}"))?;
    lifecycle::expect(pool, uuid, &["halted"])?;
    set(pool, uuid, "HVM-boot-policy", if kept == "hvm" { "BIOS order" } else { "" })?;
    set(pool, uuid, "domain-type", kept)
}

pub fn hvm_boot_policy(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    lifecycle::expect(pool, uuid, &["halted"])?;
    set(pool, uuid, "domain-type", if value.is_empty() { "pv" } else { "hvm" })?;
    set(pool, uuid, "HVM-boot-policy", value)
}

pub fn shadow_multiplier(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let number: f64 = value
        .parse()
        .map_err(|_| Fail::Cli("Parameter HVM-shadow-multiplier must be a floating-point number".into()))?;
    lifecycle::expect(pool, uuid, &["halted"])?;
    if number < 1.0 {
        return Err(invalid_value("multiplier", value));
    }
    set(pool, uuid, "HVM-shadow-multiplier", &format!("{number:.3}"))
}

pub fn ha_restart_priority(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    if !["", "restart", "best-effort"].contains(&value) {
        return Err(invalid_value("ha_restart_priority", value));
    }
    set(pool, uuid, "ha-restart-priority", value)
}

pub fn not_negative(pool: &mut Pool, uuid: &str, name: &'static str, value: &str) -> Outcome<()> {
    let number = integer(name, value)?;
    if number < 0 {
        let field = name.replace('-', "_");
        return Err(invalid_value(&format!("{field} must be non-negative"), value));
    }
    set(pool, uuid, name, &number.to_string())
}
