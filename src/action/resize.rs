//! `resize`: gives a running VM other memory, CPUs and share of the host. All of it, or nothing.

use super::Caller;
use crate::one::{Conf, Message, Vm};
use crate::report::{self, Result};
use crate::translate::memory::MIB;
use crate::translate::{cpu, memory};
use crate::undo::Undo;
use crate::xe::vm_size::{self, VmSize};
use crate::xe::{Call, PowerState, Uuid, Xe, vm, xe_error};
use anyhow::{Context, ensure};

/// Change the memory and CPUs of a running VM to what OpenNebula's message says.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let message = message.context("standard input holds no message that tells the new size")?;
    let identity = caller.identity(Some(&message), args.vm_id);
    let wanted = message.vm;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(wanted.vm_id))?;
    let now = VmSize::find(&xe, &args.deploy_id)?
        .with_context(|| format!("the pool has no VM {}", args.deploy_id))?;
    identity.check_and_mark(&xe, &now)?;
    check(&args.deploy_id, &wanted, &now)?;
    let steps = steps(&args.deploy_id, &wanted, &now, &conf)?;
    if steps.is_empty() {
        report::info(format!("VM {} has this size already", args.deploy_id));
        return Ok(String::new());
    }
    all_or_nothing(&xe, &steps)?;
    Ok(String::new())
}

/// What XAPI would refuse, and what it would accept and the guest not do.
fn check(uuid: &Uuid, wanted: &Vm, now: &VmSize) -> Result<()> {
    ensure!(
        now.power_state == PowerState::Running,
        "VM {uuid} is {}: only a running VM changes its size, another one gets it at its next start",
        now.power_state
    );
    let most_mb = now.memory.static_max_bytes / MIB;
    ensure!(
        wanted.memory_mb <= most_mb,
        "VM/TEMPLATE/MEMORY is {} MB, and the VM was started with room for {most_mb} MB (MEMORY_MAX): \
         power it off and on again to give it more",
        wanted.memory_mb
    );
    let least_mb = now.memory.static_min_bytes.div_ceil(MIB);
    ensure!(
        wanted.memory_mb >= least_mb,
        "VM/TEMPLATE/MEMORY is {} MB, and the VM cannot have less than {least_mb} MB while it runs",
        wanted.memory_mb
    );
    ensure!(
        wanted.vcpu <= now.vcpus_max,
        "VM/TEMPLATE/VCPU is {}, and the VM was started with room for {} (VCPU_MAX): \
         power it off and on again to give it more",
        wanted.vcpu,
        now.vcpus_max
    );
    ensure!(
        now.has_pv_drivers != Some(false) || !changes_memory(wanted, now),
        "the guest has no PV drivers, without which its memory cannot change while it runs"
    );
    Ok(())
}

fn changes_memory(wanted: &Vm, now: &VmSize) -> bool {
    let limits = memory::limits(wanted);
    (limits.dynamic_min_bytes, limits.dynamic_max_bytes)
        != (now.memory.dynamic_min_bytes, now.memory.dynamic_max_bytes)
}

/// A change, and what takes it back.
struct Step {
    call: Call,
    undo: Call,
    what: String,
}

/// Only what differs. Both limits of the balloon go in one call, which leaves XAPI no order to object to.
fn steps(uuid: &Uuid, wanted: &Vm, now: &VmSize, conf: &Conf) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if changes_memory(wanted, now) {
        let limits = memory::limits(wanted);
        steps.push(Step {
            call: vm_size::set_memory_range(uuid, limits.dynamic_min_bytes, limits.dynamic_max_bytes),
            undo: vm_size::set_memory_range(uuid, now.memory.dynamic_min_bytes, now.memory.dynamic_max_bytes),
            what: format!("the VM's memory to {} MB", wanted.memory_mb),
        });
    }
    if wanted.vcpu != now.vcpus {
        steps.push(Step {
            call: vm_size::hotplug_vcpus(uuid, wanted.vcpu),
            undo: vm_size::hotplug_vcpus(uuid, now.vcpus),
            what: format!("the VM's CPUs to {}", wanted.vcpu),
        });
    }
    for (key, value) in cpu::share(wanted.cpu, conf.yes("CPU_CAP")?) {
        let set = |value: &str| vm::set(uuid).set(format!("VCPUs-params:{key}"), value);
        let before = now.vcpus_param(key);
        if before == Some(value.as_str()) {
            continue;
        }
        report::warn(format!("VM/TEMPLATE/CPU: XAPI takes the new {key} {value} at the VM's next start"));
        steps.push(Step {
            call: set(&value),
            undo: before.map_or_else(|| vm_size::remove_vcpus_param(uuid, key), set),
            what: format!("the VM's CPU {key} to {value}"),
        });
    }
    Ok(steps)
}

/// A step is taken back also if its answer is all that failed: each sets what was, whatever is.
fn all_or_nothing(xe: &Xe, steps: &[Step]) -> Result<()> {
    let undo = Undo::new(xe);
    for step in steps {
        undo.by(step.undo.clone());
        xe.run(&step.call).map_err(|error| explained(error, &step.what))?;
    }
    undo.keep();
    Ok(())
}

/// XAPI's refusals in words that tell what to do.
const REFUSALS: [(&[&str], &str); 4] = [
    (
        &["VM_LACKS_FEATURE", "VM_LACKS_FEATURE_VCPU_HOTPLUG", "VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS"],
        "the guest has no running guest tools, through which it would be asked",
    ),
    (&["HOST_NOT_ENOUGH_FREE_MEMORY"], "the host has not enough free memory"),
    (
        &["MEMORY_CONSTRAINT_VIOLATION_MAXPIN"],
        "XAPI does not change this VM's memory while it runs (nested virtualization, or the edition's licence)",
    ),
    (&["LICENCE_RESTRICTION"], "the edition of XenServer does not allow it; XCP-ng does"),
];

fn explained(error: anyhow::Error, what: &str) -> anyhow::Error {
    let words = xe_error(&error)
        .and_then(|xapi| REFUSALS.iter().find(|(codes, _)| xapi.is(codes)))
        .map_or(String::new(), |(_, words)| format!(": {words}"));
    error.context(format!("cannot set {what}{words}"))
}
