//! Migration: over shared storage of the pool, or the way to those that move disks (xapi `cli_operations.ml`
//! `vm_migrate`).

use super::{machine, migrate_away, storage_motion};
use crate::sim::call::{Call, Run, Verb, changing};
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli};
use crate::sim::row::Class;
use crate::sim::select::{self, Choice, VMS, each_vm};
use crate::sim::store::Store;

/// The verbs.
pub const VERBS: &[Verb] = &[Verb {
    name: "vm-migrate",
    required: &[],
    optional: &[
        "live",
        "host",
        "host-uuid",
        "remote-master",
        "remote-username",
        "remote-password",
        "remote-network",
        "force",
        "copy",
        "compress",
        "vif:",
        "vdi:",
    ],
    run: Run::Waits(migrate),
}];

/// Within the pool, or to the one whose coordinator `remote-master` names.
fn migrate(store: &Store, call: &mut Call) -> Outcome<()> {
    let master = call.command.get("remote-master").map(str::to_owned);
    match master.and_then(|master| store.peer_with_host(&master)) {
        Some(other) => migrate_away::migrate(store, &other, call),
        None => changing(store, call, migrate_within),
    }
}

/// The parameters as XAPI reads them, whether they mean storage motion or not.
pub fn check_parameters(call: &mut Call) -> Outcome<()> {
    for (key, _) in &mut call.command.params {
        if ["host-uuid", "host-name"].contains(&key.as_str()) {
            "host".clone_into(key);
        }
    }
    for name in ["force", "live", "copy", "compress"] {
        call.command.flag(name, false)?;
    }
    Ok(())
}

fn migrate_within(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    check_parameters(call)?;
    if call
        .command
        .params
        .iter()
        .any(|(key, _)| storage_motion::MOTION.iter().any(|motion| key.starts_with(motion)))
    {
        return storage_motion::within(pool, call);
    }
    let Some(name) = call.command.get("host") else { return cli("No destination host specified") };
    let host = select::host(pool, name)?;
    let choice = Choice { control_domains: true, ..VMS };
    each_vm(pool, call, choice, &["host", "live", "compress"], |pool, _, vm| pool_migrate(pool, vm, &host))
}

/// Moves a running VM to another host that reaches all its storage.
pub fn pool_migrate(pool: &mut Pool, vm: &str, host: &str) -> Outcome<()> {
    lifecycle::check(pool, vm, Op::PoolMigrate)?;
    if pool.get(Class::Vm, vm)?.get("resident-on") == host {
        return Ok(());
    }
    lifecycle::can_boot_here(pool, vm, host)?;
    arrive(pool, vm, host)
}

/// The VM's domain is on the host now; it keeps its time of start and its console another address.
pub fn arrive(pool: &mut Pool, vm: &str, host: &str) -> Outcome<()> {
    for console in pool.referring_uuids(Class::Console, "vm-uuid", vm) {
        pool.remove(Class::Console, &console);
    }
    machine::begin(pool, vm, host)
}
