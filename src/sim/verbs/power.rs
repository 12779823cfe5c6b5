//! Starting, stopping, pausing VMs.

use super::machine;
use crate::sim::call::{Call, Run, Verb};
use crate::sim::guest;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, refused};
use crate::sim::row::Class;
use crate::sim::select::{self, Choice, VMS, each_vm};
use crate::sim::store::Store;

/// The verbs.
pub const VERBS: &[Verb] = &[
    Verb { name: "vm-start", required: &[], optional: &["force", "on", "paused"], run: Run::Changes(start) },
    Verb { name: "vm-shutdown", required: &[], optional: &["force"], run: Run::Waits(shutdown) },
    Verb { name: "vm-reboot", required: &[], optional: &["force"], run: Run::Waits(reboot) },
    Verb { name: "vm-pause", required: &[], optional: &[], run: Run::Changes(pause) },
    Verb { name: "vm-unpause", required: &[], optional: &[], run: Run::Changes(unpause) },
    Verb {
        name: "vm-reset-powerstate",
        required: &[],
        optional: &["force"],
        run: Run::Changes(reset_powerstate),
    },
];

/// Prints why no host will do, if that is why the call fails.
pub fn told(pool: &Pool, call: &mut Call, uuid: &str, outcome: Outcome<String>) -> Outcome<String> {
    if let Err(fail) = &outcome
        && machine::lacks_host(fail)
    {
        call.out.list(&[
            "There are no suitable hosts to start this VM on.",
            "The following table provides per-host reasons for why the VM could not be started:",
            "",
        ]);
        call.out.table(&[machine::host_report(pool, uuid)]);
    }
    outcome
}

fn start(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    call.command.flag("force", false)?;
    let state = if call.command.flag("paused", false)? { "paused" } else { "running" };
    let on = call.command.get("on").map(str::to_owned);
    let choice = Choice { control_domains: true, ..VMS };
    each_vm(pool, call, choice, &["on", "paused", "progress"], |pool, call, uuid| {
        let host = if let Some(name) = &on {
            select::host(pool, name)?
        } else {
            lifecycle::check(pool, uuid, Op::Start)?;
            let chosen = machine::choose_host(pool, uuid);
            told(pool, call, uuid, chosen)?
        };
        machine::start_on(pool, uuid, &host, state)
    })
}

/// Clean shutdown, or with `force` a hard one. A guest that does not listen keeps the call waiting until
/// somebody else has halted the VM.
fn shutdown(store: &Store, call: &mut Call) -> Outcome<()> {
    let force = call.command.flag("force", false)?;
    let op = if force { Op::HardShutdown } else { Op::CleanShutdown };
    wait_for_guests(store, call, op, &["progress"])?;
    crate::sim::call::changing(store, call, |pool, call| {
        each_vm(pool, call, VMS, &["progress"], |pool, _, uuid| {
            if op == Op::CleanShutdown && left(pool, uuid) {
                return Ok(());
            }
            lifecycle::check(pool, uuid, op)?;
            if force { machine::hard_shutdown(pool, uuid) } else { machine::end(pool, uuid, "halted") }
        })
    })
}

/// Whether the VM that ignored its shutdown has been halted by another call meanwhile.
fn left(pool: &Pool, uuid: &str) -> bool {
    pool.find(Class::Vm, uuid)
        .is_some_and(|vm| guest::ignores_shutdown(vm) && vm.get("power-state") == "halted")
}

/// Waits while a chosen VM is one that ignores shutting down.
fn wait_for_guests(store: &Store, call: &mut Call, op: Op, own: &[&str]) -> Outcome<()> {
    if !matches!(op, Op::CleanShutdown | Op::CleanReboot) {
        return Ok(());
    }
    let waiting = {
        let pool = store.read()?;
        let mut chosen = select::chosen_vms(&pool, &call.command, VMS, own)?;
        chosen.retain(|uuid| {
            pool.find(Class::Vm, uuid).is_some_and(guest::ignores_shutdown)
                && lifecycle::check(&pool, uuid, op).is_ok()
        });
        chosen
    };
    if waiting.is_empty() {
        return Ok(());
    }
    store.wait_until(|pool| {
        waiting.iter().all(|uuid| {
            let vm = pool.find(Class::Vm, uuid);
            vm.is_none_or(|vm| vm.get("power-state") != "running" || !guest::ignores_shutdown(vm))
        })
    })?;
    Ok(())
}

fn reboot(store: &Store, call: &mut Call) -> Outcome<()> {
    let op = if call.command.flag("force", false)? { Op::HardReboot } else { Op::CleanReboot };
    wait_for_guests(store, call, op, &[])?;
    crate::sim::call::changing(store, call, |pool, call| {
        each_vm(pool, call, VMS, &[], |pool, _, uuid| {
            lifecycle::check(pool, uuid, op)?;
            let host = pool.get(Class::Vm, uuid)?.get("resident-on").to_owned();
            machine::end(pool, uuid, "halted")?;
            machine::run_at_once(pool, uuid, &host)
        })
    })
}

fn pause(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    each_vm(pool, call, VMS, &[], |pool, _, uuid| {
        lifecycle::check(pool, uuid, Op::Pause)?;
        pool.set(Class::Vm, uuid, "power-state", "paused")
    })
}

fn unpause(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    each_vm(pool, call, VMS, &[], |pool, _, uuid| {
        lifecycle::check(pool, uuid, Op::Unpause)?;
        pool.set(Class::Vm, uuid, "power-state", "running")
    })
}

/// Without its domain the VM is halted; the simulator's domains are never lost, so only a suspended or
/// halted one can be.
fn reset_powerstate(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    forced(call)?;
    each_vm(pool, call, VMS, &[], |pool, _, uuid| {
        let vm = pool.get(Class::Vm, uuid)?;
        if ["running", "paused"].contains(&vm.get("power-state")) {
            return Err(refused("DOMAIN_EXISTS", vec![pool.vm_param(uuid)]));
        }
        machine::end(pool, uuid, "halted")
    })
}

/// Refuses without `force`.
pub fn forced(call: &Call) -> Outcome<()> {
    if call.command.flag("force", false)? {
        return Ok(());
    }
    cli("This operation is dangerous and may cause data loss. This operation must be forced (use --force).")
}
