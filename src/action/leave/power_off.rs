//! Powering a VM off, through its guest or without.

use crate::action::in_progress::{GuestRequest, Operation};
use crate::lock::VmLock;
use crate::one::Conf;
use crate::report::{self, Result};
use crate::xe::{PowerState, Xe, failed_with, outcome_unknown, vm};
use anyhow::{Context, bail};

/// XAPI's ways of saying that the guest cannot be asked.
pub const NO_GUEST_TOOLS: [&str; 6] = [
    "VM_LACKS_FEATURE",
    "VM_LACKS_FEATURE_SHUTDOWN",
    "VM_LACKS_FEATURE_POWEROFF",
    "VM_MISSING_PV_DRIVERS",
    "VM_OLD_PV_DRIVERS",
    "VM_NO_PV_DRIVERS",
];

/// XAPI's ways of saying that the guest was asked and did not do it in time.
pub const NOT_IN_TIME: [&str; 3] =
    ["VM_SHUTDOWN_TIMEOUT", "VM_FAILED_SHUTDOWN_ACK", "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT"];

/// XAPI's refusals before it does anything to a VM that is on.
const CHANGED_NOTHING: [&str; 1] = ["OPERATION_BLOCKED"];

/// Asks the guest, waits SHUTDOWN_TIMEOUT, and then does as FORCE_SHUTDOWN says; a guest without guest tools
/// cannot be asked: NO_TOOLS_SHUTDOWN.
pub fn gently(xe: &Xe, conf: &Conf, vm: &vm::Vm, lock: Option<&VmLock>) -> Result<()> {
    let limit = conf.seconds("SHUTDOWN_TIMEOUT", 180)?;
    let force_late = conf.yes("FORCE_SHUTDOWN")?;
    let force_without_tools = conf.one_of("NO_TOOLS_SHUTDOWN", &["force", "fail"])? == "force";
    match vm.power_state {
        PowerState::Halted => return Ok(()),
        PowerState::Running => {}
        PowerState::Suspended => wake(xe, vm)?,
        state @ PowerState::Paused => {
            bail!(
                "VM {} is {state}: its guest cannot be asked to power off; let it go on (xe vm-unpause) or power it \
                 off hard",
                vm.uuid
            )
        }
    }
    let request = GuestRequest::begin(&vm.uuid, Operation::CleanShutdown, lock);
    let asked = xe.run_until_stopped(&vm::clean_shutdown(&vm.uuid), limit);
    let is_stopped = xe.stop.check().is_err();
    if let Err(error) = &asked
        // A hard shutdown ends it by itself (xapi message_forwarding.ml `hard_shutdown`).
        && (is_stopped || outcome_unknown(error) && !force_late)
    {
        request.end(xe);
    }
    if let Some(lock) = lock {
        lock.clear_note();
    }
    let Err(error) = asked else { return Ok(()) };
    if is_stopped {
        return Err(error).context(format!("VM {} is not powered off", vm.uuid));
    }
    if is_off(xe, vm, &error)? {
        return Ok(());
    }
    let late = outcome_unknown(&error) || failed_with(&error, &NOT_IN_TIME);
    let (why, force, setting) = if failed_with(&error, &NO_GUEST_TOOLS) {
        let why = "the guest has no running guest tools to be asked through".to_owned();
        (why, force_without_tools, "NO_TOOLS_SHUTDOWN=force")
    } else if late {
        let why = format!("the guest did not power off within {} s", limit.as_secs());
        (why, force_late, "FORCE_SHUTDOWN=yes")
    } else {
        return Err(error).context(format!("cannot power off VM {}", vm.uuid));
    };
    if !force {
        return Err(error).context(format!(
            "cannot power off VM {}: {why}; power it off hard, or set {setting} in xcprc",
            vm.uuid
        ));
    }
    report::warn(format!("{why}: it is powered off hard"));
    hard(xe, vm)
}

/// A suspended guest holds writes that its disks have not: it must go on to power itself off.
fn wake(xe: &Xe, vm: &vm::Vm) -> Result<()> {
    report::info(format!("VM {} is suspended: it goes on, to power itself off", vm.uuid));
    let Err(error) = xe.run_within(&vm::resume_anywhere(&vm.uuid), xe.transfer_limit) else { return Ok(()) };
    let now = vm::Vm::find(xe, &vm.uuid)?;
    if now.is_some_and(|now| now.power_state == PowerState::Running) {
        return Ok(());
    }
    Err(error).context(format!("VM {} is suspended and cannot go on, to power itself off", vm.uuid))
}

/// Powers a VM off hard, in whatever state.
pub fn at_once(xe: &Xe, vm: &vm::Vm) -> Result<()> {
    if vm.power_state == PowerState::Halted { Ok(()) } else { hard(xe, vm) }
}

fn hard(xe: &Xe, vm: &vm::Vm) -> Result<()> {
    let Err(error) = xe.run(&vm::hard_shutdown(&vm.uuid)) else { return Ok(()) };
    if is_off(xe, vm, &error)? {
        return Ok(());
    }
    Err(error).context(format!("cannot power off VM {} hard", vm.uuid))
}

/// After a failure the VM's state decides, not the answer: the guest may be off although XAPI reports an error
/// (INTERNAL_ERROR after the domain is destroyed), it may have gone off on its own, or be gone.
fn is_off(xe: &Xe, vm: &vm::Vm, error: &anyhow::Error) -> Result<bool> {
    if failed_with(error, &CHANGED_NOTHING) {
        return Ok(false);
    }
    let now = vm::Vm::find(xe, &vm.uuid)?;
    let is_off = now.is_none_or(|now| now.power_state == PowerState::Halted);
    if is_off {
        report::warn(format!("VM {} is powered off, but: {error:#}", vm.uuid));
    }
    Ok(is_off)
}
