//! What may be done to a VM in which state (xapi `xapi_vm_lifecycle.ml`).

mod allowed;
mod placement;

pub use allowed::{OPERATIONS, allowed_operations};
pub use placement::{
    can_boot_here, check_room_to_grow, free_memory, overhead, possible_hosts, reaches, reason,
};

use super::guest;
use super::pool::Pool;
use super::refuse::{Outcome, Param, refused};
use super::row::Class;

/// Operations on VMs that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Start,
    CleanShutdown,
    HardShutdown,
    CleanReboot,
    HardReboot,
    Suspend,
    Resume,
    Pause,
    Unpause,
    PoolMigrate,
    MigrateSend,
    Clone,
    Copy,
    Snapshot,
    Checkpoint,
    Destroy,
    ChangingStaticRange,
    ChangingDynamicRange,
    MakeIntoTemplate,
}

impl Op {
    /// The operation's name and the power states that allow it.
    fn rule(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Start => ("start", &["halted"]),
            Self::CleanShutdown => ("clean_shutdown", &["running"]),
            Self::HardShutdown => ("hard_shutdown", &["paused", "suspended", "running"]),
            Self::CleanReboot => ("clean_reboot", &["running"]),
            Self::HardReboot => ("hard_reboot", &["paused", "running"]),
            Self::Suspend => ("suspend", &["running"]),
            Self::Resume => ("resume", &["suspended"]),
            Self::Pause => ("pause", &["running"]),
            Self::Unpause => ("unpause", &["paused"]),
            Self::PoolMigrate => ("pool_migrate", &["running"]),
            Self::MigrateSend => ("migrate_send", &["halted", "suspended", "running"]),
            Self::Clone => ("clone", &["halted"]),
            Self::Copy => ("copy", &["halted"]),
            Self::Snapshot => ("snapshot", &["halted", "paused", "suspended", "running"]),
            Self::Checkpoint => ("checkpoint", &["paused", "suspended", "running"]),
            Self::Destroy => ("destroy", &["halted", "suspended"]),
            Self::ChangingStaticRange => ("changing_static_range", &["halted"]),
            Self::ChangingDynamicRange => ("changing_dynamic_range", &["halted", "running"]),
            Self::MakeIntoTemplate => ("make_into_template", &["halted"]),
        }
    }
}

/// Refuses an operation that the VM's state, its owner or its guest do not allow.
pub fn check(pool: &Pool, uuid: &str, op: Op) -> Outcome<()> {
    let row = pool.get(Class::Vm, uuid)?;
    let (name, states) = op.rule();
    if let Some(reason) = row.entry("blocked-operations", name) {
        return Err(refused("OPERATION_BLOCKED", vec![pool.vm_param(uuid), Param::text(reason)]));
    }
    // A checkpoint is suspended, and may be cloned all the same.
    let free = row.is("is-a-snapshot") && matches!(op, Op::Clone | Op::Copy);
    if !free {
        expect(pool, uuid, states)?;
    }
    if row.is("is-control-domain") && !matches!(op, Op::Start | Op::ChangingDynamicRange) {
        let reason = "This operation is not allowed on a control domain";
        return Err(refused("OPERATION_NOT_ALLOWED", vec![Param::text(reason)]));
    }
    if row.is("is-a-template") && op == Op::Start {
        return Err(refused("VM_IS_TEMPLATE", vec![pool.vm_param(uuid)]));
    }
    if row.is("is-default-template") && op == Op::Destroy {
        return Err(refused("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", vec![pool.vm_param(uuid)]));
    }
    let cooperative = matches!(op, Op::CleanShutdown | Op::CleanReboot | Op::Suspend | Op::PoolMigrate)
        || matches!(op, Op::Checkpoint | Op::MigrateSend)
            && row.get("power-state") != "suspended"
            && row.get("power-state") != "halted";
    if cooperative && !guest::has_tools(row) {
        return Err(refused("VM_LACKS_FEATURE", vec![pool.vm_param(uuid)]));
    }
    Ok(())
}

/// Refuses unless the VM is in one of these power states.
pub fn expect(pool: &Pool, uuid: &str, states: &[&str]) -> Outcome<()> {
    let actual = pool.get(Class::Vm, uuid)?.get("power-state");
    if states.contains(&actual) {
        return Ok(());
    }
    Err(refused(
        "VM_BAD_POWER_STATE",
        vec![pool.vm_param(uuid), Param::text(states.join(", ")), Param::text(actual)],
    ))
}
