//! `one-xcp doctor --try`: a VM's whole life on the real pool, by the scripts that OpenNebula calls, and nothing left
//! of it. The VM has small disks that we make and no guest system.

pub mod bug_report;
mod life;
mod step;
mod vm;

use crate::action::Caller;
use crate::report::{self, Result};
use crate::signal::Stop;
use crate::translate::mark;
use crate::xe::host::{self, Host};
use crate::xe::vdi::Vdi;
use crate::xe::{Record, Uuid, Xe, vm as xapi_vm};
use anyhow::{Context, ensure};
use std::fs;
use step::Scripts;
pub use step::{Step, Verdict};
use vm::TrialVm;

/// Plays the life on `host` (without a name on this machine), and takes away what a failed step has left.
///
/// # Errors
/// Nothing could be tried, or something of the trial is left in the pool.
pub fn run(caller: &Caller, host: &str) -> Result<Vec<Step>> {
    let stop = Stop::on_signals().context("cannot begin")?;
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, host)?;
    let hosts = Host::all(&xe)?;
    let host = if host.is_empty() { own_name() } else { host.to_owned() };
    let first = host::named(&hosts, &host)?;
    let second = hosts.iter().find(|other| other.uuid != first.uuid);
    let mut vm = TrialVm::make(&host)?;
    report::info(format!("trying VM {} on {host}", vm.vm_id));
    let scripts = Scripts { called_as: &caller.called_as, stop: &stop };
    let steps = life::play(&scripts, &mut vm, second.map(|host| host.name_label.as_str()));
    // Asked with a client of its own: the other one ends at a signal, and this must be done.
    remove_left(&caller.xe(&conf, &host)?, &scripts, &vm)?;
    Ok(steps)
}

fn own_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Ends a VM that a failed step has left, and makes sure that nothing of the trial is in the pool.
fn remove_left(xe: &Xe, scripts: &Scripts<'_>, vm: &TrialVm) -> Result<()> {
    for left in xapi_vm::Vm::with_other_config(xe, mark::VM_ID, &vm.vm_id.to_string())? {
        let uuid = left.uuid.to_string();
        let id = vm.vm_id.to_string();
        let message = vm.message(&uuid, vm::SHUTDOWN, &[]);
        if let Err(error) = scripts.run(vm, &["cancel", &uuid, vm.host(), &id, vm.host()], &message).result {
            report::warn(format!("cannot remove VM {uuid} of the trial: {error:#}"));
        }
    }
    let left = left_in_pool(xe, vm.vm_id)?;
    ensure!(
        left.is_empty(),
        "of the trial's VM {} there is still in the pool: {}; one-xcp gc removes it",
        vm.vm_id,
        left.join(", ")
    );
    Ok(())
}

/// VMs, snapshots and VDIs of the trial.
fn left_in_pool(xe: &Xe, vm_id: u32) -> Result<Vec<String>> {
    let vms = xapi_vm::Vm::with_other_config(xe, mark::VM_ID, &vm_id.to_string())?;
    let mut left: Vec<String> = vms.iter().map(|vm| format!("VM {}", vm.uuid)).collect();
    let prefix = format!("{}-", mark::vm_name(vm_id));
    let read = |record: &Record<'_>| {
        let is_ours = record.text("name-label").starts_with(&prefix);
        is_ours.then(|| record.get::<Uuid>("uuid")).transpose()
    };
    let vdis = xe.list("vdi", &["uuid", "name-label"], &[], read)?;
    left.extend(vdis.into_iter().flatten().map(|vdi| format!("VDI {vdi}")));
    for disk_id in 0..3 {
        let tagged = Vdi::with_tag(xe, &mark::vdi_name(vm_id, disk_id))?;
        left.extend(tagged.into_iter().map(|vdi| format!("VDI {}", vdi.uuid)));
    }
    left.sort();
    left.dedup();
    Ok(left)
}
