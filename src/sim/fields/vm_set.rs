//! How fields of a VM are set, with XAPI's checks (xapi `xapi_vm.ml`).

use super::{expected, flag, integer, word};
use crate::sim::lifecycle;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, invalid_value};
use crate::sim::row::Class;

fn set(pool: &mut Pool, uuid: &str, name: &'static str, value: &str) -> Outcome<()> {
    pool.set(Class::Vm, uuid, name, value)
}

pub fn is_a_template(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let value = flag("is-a-template", value)?;
    lifecycle::check(pool, uuid, lifecycle::Op::MakeIntoTemplate)?;
    set(pool, uuid, "is-a-template", if value { "true" } else { "false" })
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
