//! `deploy`: makes the VM and starts it. Called again for the same VM it ends with exactly one.

mod build;
pub mod existing;
mod folder;
mod halted;
mod imported;
mod kept;
mod other_machine;
mod plan;
mod pool;
mod template;
mod unanswered;

pub use plan::{Source, named_vdi, source, stamp};

use super::identity::Identity;
use super::{Caller, console, in_progress};
use crate::console::Graphics;
use crate::lock::VmLock;
use crate::one::{Element, Vm, input};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::device::{self, Slot};
use crate::translate::{mark, unsupported};
use crate::undo::Undo;
use crate::xe::vbd::Vbd;
use crate::xe::{Uuid, Xe, outcome_unknown, vm};
use anyhow::Context;
use existing::Found;
use halted::Halted;
pub use plan::DEFAULT_TEMPLATE;
use plan::Plan;
use pool::Pool;
use std::fs::{self, File};
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

/// Make a VM from its deployment file and start it; prints its DEPLOY_ID.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The deployment file; its folder holds the VM's disks. Over ssh it comes on standard input instead
    deployment_file: PathBuf,
    /// The host to start the VM on
    host: String,
    /// What OpenNebula appends: VM id and host
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &args.host)?;
    let document = Element::parse("the deployment file", &deployment(&args.deployment_file)?)?;
    let vm = Vm::read(document)?;
    let identity = Identity::of_vm(&vm, &caller.called_as);
    let lock = Caller::lock(&xe, Some(vm.vm_id))?;
    if let Some(uuid) = imported::start(&xe, &identity, &vm, &args.host)? {
        return Ok(uuid.to_string());
    }
    let mut plan = Plan::make(&vm, &conf, &args.deployment_file)?;
    let graphics = Graphics::of(&vm, &conf, &args.host)?;
    plan.params.extend(graphics.as_ref().map(Graphics::param));
    if lock.as_ref().is_some_and(VmLock::follows_a_killed_action) {
        unanswered::clear_vm(&xe, vm.vm_id);
    }

    let (pool, there) = parallel::both(
        || Pool::look_up(&xe, &conf, &vm, &args.host),
        || vm::Vm::with_other_config(&xe, mark::VM_ID, &vm.vm_id.to_string()),
    );
    let (pool, there) = (pool?, there?);
    existing::check_list(&xe, &there, &vm)?;
    let there = other_machine::leave_out(&identity, there, &vm, &mut plan)?;
    let mut cleared = Vec::new();
    let (old, older) = match existing::find(&xe, &pool, there, &vm, &mut cleared)? {
        Found::Running { uuid, older } => {
            report::info(format!("VM {} already runs on {} as {uuid}", vm.vm_id, pool.host.name_label));
            remove_replaced(&xe, &plan, &uuid, &older)?;
            console::reopen(caller, &xe, graphics, &uuid);
            return Ok(uuid.to_string());
        }
        Found::Kept(record) => {
            kept::restart(&xe, &pool, &vm, plan, &record)?;
            console::reopen(caller, &xe, graphics, &record.uuid);
            return Ok(record.uuid.to_string());
        }
        Found::Halted { newest, older } => (Some(newest.with_disks(&xe, &vm, &plan)?), older),
        Found::Nothing => (None, Vec::new()),
    };
    let plan = plan.adopting(old.as_ref())?;
    warn_of_unsupported(&vm, &plan);
    let uuid = build_and_start(&xe, &pool, &vm, &plan)?;
    for replaced in old.iter().chain(&older) {
        replaced.replaced_by(&xe, &plan, &plan.vdis());
    }
    if lock.as_ref().is_some_and(VmLock::follows_a_killed_action) {
        for old in &cleared {
            unanswered::clear_vdis(&xe, old);
        }
    }
    console::open_marked(caller, &xe, graphics, &uuid);
    Ok(uuid.to_string())
}

fn warn_of_unsupported(vm: &Vm, plan: &Plan) {
    let slots: Vec<Slot> = plan.disks.iter().map(|disk| disk.slot).collect();
    for warning in unsupported::warnings(vm).into_iter().chain(device::moved(vm, &slots)) {
        report::warn(warning);
    }
}

/// Removes what the running VM has replaced, but for the disks that it has.
fn remove_replaced(xe: &Xe, plan: &Plan, running: &Uuid, older: &[Halted]) -> Result<()> {
    if older.is_empty() {
        return Ok(());
    }
    let used: Vec<Uuid> = Vbd::of_vm(xe, running)?.into_iter().filter_map(|vbd| vbd.vdi_uuid).collect();
    for replaced in older {
        replaced.replaced_by(xe, plan, &used);
    }
    Ok(())
}

fn build_and_start(xe: &Xe, pool: &Pool, vm: &Vm, plan: &Plan) -> Result<Uuid> {
    let undo = Undo::new(xe);
    let began = in_progress::now();
    let uuid = build::install(xe, &undo, pool, vm, plan)?;
    let built =
        build::fill(xe, &undo, pool, vm, plan, &uuid).and_then(|()| build::start(xe, &undo, pool, vm, &uuid));
    if let Err(error) = &built {
        if outcome_unknown(error) {
            unanswered::wait(xe, began);
        }
        unanswered::find_vdis(xe, &undo, &uuid);
    }
    built?;
    undo.keep();
    Ok(uuid)
}

/// The deployment file's text: standard input as OpenNebula gives it, or the file itself by hand.
fn deployment(file: &Path) -> Result<String> {
    const WHAT: &str = "the deployment file";
    let from_file = || -> Result<String> {
        let file = File::open(file)
            .with_context(|| format!("cannot read the deployment file {}", file.display()))?;
        input::read(WHAT, file)
    };
    if stdin().is_terminal() {
        return from_file();
    }
    match input::read(WHAT, stdin().lock()) {
        Err(error) if error.to_string().ends_with("is empty") && fs::metadata(file).is_ok() => from_file(),
        text => text,
    }
}
