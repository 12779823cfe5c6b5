//! Memory and vCPUs of VMs.

use crate::sim::arguments::bytes;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::fields::{balloon, check_limits, limits_of, memory_limits};
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, Param, cli, refused};
use crate::sim::row::Class;
use crate::sim::select::{Choice, VMS, each_vm};

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "vm-memory-limits-set",
        required: &["static-min", "static-max", "dynamic-min", "dynamic-max"],
        optional: &[],
        run: Run::Changes(limits_set),
    },
    Verb {
        name: "vm-memory-static-range-set",
        required: &["min", "max"],
        optional: &[],
        run: Run::Changes(static_range_set),
    },
    Verb {
        name: "vm-memory-dynamic-range-set",
        required: &["min", "max"],
        optional: &[],
        run: Run::Changes(dynamic_range_set),
    },
    Verb {
        name: "vm-memory-target-set",
        required: &["target"],
        optional: &[],
        run: Run::Changes(target_set),
    },
    Verb { name: "vm-memory-set", required: &["memory"], optional: &[], run: Run::Changes(memory_set) },
    Verb {
        name: "vm-memory-shadow-multiplier-set",
        required: &["multiplier"],
        optional: &[],
        run: Run::Changes(shadow_multiplier_set),
    },
    Verb {
        name: "vm-compute-memory-overhead",
        required: &[],
        optional: &[],
        run: Run::Changes(compute_overhead),
    },
    Verb {
        name: "vm-compute-maximum-memory",
        required: &["total"],
        optional: &["approximate"],
        run: Run::Changes(compute_maximum),
    },
    Verb {
        name: "vm-vcpu-hotplug",
        required: &["new-vcpus"],
        optional: &[],
        run: Run::Changes(vcpu_hotplug),
    },
];

/// Memory may be set of every VM and template.
const ALL: Choice = Choice { control_domains: true, templates: true, several: true };

fn limits_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let names = ["static-min", "dynamic-min", "dynamic-max", "static-max"];
    let mut limits = [0; 4];
    for (limit, name) in limits.iter_mut().zip(names) {
        *limit = call.command.bytes(name)?;
    }
    each_vm(pool, call, ALL, &names, |pool, _, uuid| {
        let static_before = limits_of(pool.get(Class::Vm, uuid)?);
        let fixed = |limits: [i64; 4]| [limits.first().copied(), limits.last().copied()];
        let op = if fixed(static_before) == fixed(limits) {
            Op::ChangingDynamicRange
        } else {
            Op::ChangingStaticRange
        };
        lifecycle::check(pool, uuid, op)?;
        memory_limits(pool, uuid, limits)?;
        balloon(pool, uuid)
    })
}

fn range(call: &Call) -> Outcome<(i64, i64)> {
    Ok((call.command.bytes("min")?, call.command.bytes("max")?))
}

fn static_range_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let (min, max) = range(call)?;
    each_vm(pool, call, ALL, &["min", "max"], |pool, _, uuid| {
        lifecycle::check(pool, uuid, Op::ChangingStaticRange)?;
        let [_, dynamic_min, dynamic_max, _] = limits_of(pool.get(Class::Vm, uuid)?);
        memory_limits(pool, uuid, [min, dynamic_min, dynamic_max, max])
    })
}

fn dynamic(pool: &mut Pool, uuid: &str, min: i64, max: i64) -> Outcome<()> {
    let [static_min, _, _, static_max] = limits_of(pool.get(Class::Vm, uuid)?);
    check_limits([static_min, min, max, static_max])?;
    lifecycle::check(pool, uuid, Op::ChangingDynamicRange)?;
    lifecycle::check_room_to_grow(pool, uuid, min)?;
    memory_limits(pool, uuid, [static_min, min, max, static_max])?;
    balloon(pool, uuid)
}

fn dynamic_range_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let (min, max) = range(call)?;
    each_vm(pool, call, ALL, &["min", "max"], |pool, _, uuid| dynamic(pool, uuid, min, max))
}

fn target_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let target = call.command.bytes("target")?;
    let choice = Choice { templates: false, ..ALL };
    each_vm(pool, call, choice, &["target"], |pool, _, uuid| dynamic(pool, uuid, target, target))
}

fn memory_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let memory = call.command.bytes("memory")?;
    each_vm(pool, call, ALL, &["memory"], |pool, _, uuid| {
        lifecycle::check(pool, uuid, Op::ChangingStaticRange)?;
        let [static_min, ..] = limits_of(pool.get(Class::Vm, uuid)?);
        memory_limits(pool, uuid, [static_min, memory, memory, memory])
    })
}

fn shadow_multiplier_set(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let parsed = call.command.need("multiplier")?.parse::<f64>();
    let Ok(multiplier) = parsed else {
        return cli("Failed to parse parameter 'multiplier': expecting a float");
    };
    each_vm(pool, call, VMS, &["multiplier"], |pool, _, uuid| {
        lifecycle::expect(pool, uuid, &["running"])?;
        pool.set(Class::Vm, uuid, "HVM-shadow-multiplier", &format!("{multiplier:.3}"))
    })
}

fn compute_overhead(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let choice = Choice { control_domains: true, ..VMS };
    each_vm(pool, call, choice, &[], |pool, call, uuid| {
        let overhead = lifecycle::overhead(pool.get(Class::Vm, uuid)?);
        call.out.remark(&overhead.to_string());
        Ok(())
    })
}

/// The most memory whose overhead still fits into `total`.
fn compute_maximum(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let total = bytes("total", call.command.need("total")?)?;
    each_vm(pool, call, VMS, &["total", "approximate"], |pool, call, uuid| {
        let mut vm = pool.get(Class::Vm, uuid)?.clone();
        let mut memory = total;
        while memory > 0 {
            vm.set("memory-static-max", memory.to_string());
            if memory + lifecycle::overhead(&vm) <= total {
                break;
            }
            memory -= 1 << 20;
        }
        call.out.list(&[memory.max(0).to_string()]);
        Ok(())
    })
}

fn vcpu_hotplug(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let Ok(count) = call.command.need("new-vcpus")?.parse::<i64>() else {
        return cli("Failed to parse parameter 'new-vcpus': expecting an integer");
    };
    each_vm(pool, call, VMS, &["new-vcpus"], |pool, _, uuid| {
        lifecycle::expect(pool, uuid, &["running"])?;
        let row = pool.get(Class::Vm, uuid)?;
        if !crate::sim::guest::has_tools(row) {
            return Err(refused("VM_LACKS_FEATURE", vec![pool.vm_param(uuid)]));
        }
        if count < 1 || count > row.number("VCPUs-max") {
            let params = vec![
                Param::text("VCPU values must satisfy: 0 < VCPUs \u{2264} VCPUs_max"),
                Param::text(row.get("VCPUs-max")),
            ];
            return Err(refused("INVALID_VALUE", params));
        }
        pool.set(Class::Vm, uuid, "VCPUs-number", &count.to_string())?;
        pool.set(Class::Vm, uuid, "VCPUs-at-startup", &count.to_string())
    })
}
