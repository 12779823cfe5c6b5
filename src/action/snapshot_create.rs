//! `snapshot_create`: a snapshot of the VM, with its memory where the guest allows it. Answers its uuid.

use super::suspending::{find, refusal};
use super::{Caller, snapshot_delete};
use crate::one::Message;
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::undo::Undo;
use crate::xe::network::Vif;
use crate::xe::snapshot::{self, Snapshot};
use crate::xe::vbd;
use crate::xe::{Call, PowerState, Uuid, Xe, vm};
use anyhow::Context;

/// Take a snapshot of a VM; prints its uuid.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// OpenNebula's number of the snapshot
    snapshot_id: u32,
    /// OpenNebula's number of the VM
    vm_id: Option<u32>,
    /// The host the VM is on
    #[arg(default_value = "")]
    host: String,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.vm_id);
    let vm_id =
        identity.vm_id().context("neither arguments nor message tell OpenNebula's number of the VM")?;
    let xe = caller.xe(&conf, &args.host)?;
    let _lock = Caller::lock(&xe, Some(vm_id))?;
    let name = mark::vm_snapshot_name(vm_id, args.snapshot_id);
    let ((vm, vifs), named) = parallel::both(
        || parallel::both(|| find(&xe, &args.deploy_id), || Vif::of_vm(&xe, &args.deploy_id)),
        || Snapshot::named(&xe, &args.deploy_id, &name),
    );
    let (vm, vifs, named) = (vm?, vifs?, named?);
    identity.check_and_mark(&xe, &vm)?;
    if let Some(message) = &message {
        clear_unknown(&xe, message, &named)?;
    }
    let taken = with_memory_or_without(&xe, &vm, &name, &named)?;
    let nics = vifs.iter().filter_map(|vif| Some((mark::nic_id(vif)?, vif.mac.as_str())));
    // Without it a revert asks for the NICs that it has brought back.
    _ = xe.undo(&snapshot::note(&taken, mark::NICS, &mark::nics(&taken, nics)));
    Ok(taken.to_string())
}

fn with_memory_or_without(xe: &Xe, vm: &vm::Vm, name: &str, before: &[Snapshot]) -> Result<Uuid> {
    if vm.power_state == PowerState::Running {
        match take(xe, vm, name, before, &snapshot::checkpoint(&vm.uuid, name)) {
            Err(error) => match refusal(&error) {
                Some(why) => report::warn(format!("the snapshot is without the VM's memory: {why}")),
                None => return Err(error),
            },
            taken => return taken,
        }
    }
    take(xe, vm, name, before, &snapshot::snapshot(&vm.uuid, name))
}

/// A snapshot under this name that OpenNebula has no id of is what a driver left that was killed.
fn clear_unknown(xe: &Xe, message: &Message, named: &[Snapshot]) -> Result<()> {
    let known: Vec<&str> =
        message.vm.template.all("SNAPSHOT").map(|snapshot| snapshot.text("HYPERVISOR_ID")).collect();
    for left in named.iter().filter(|left| !known.contains(&left.uuid.to_string().as_str())) {
        report::info(format!("clearing away snapshot {}, which an earlier attempt has left", left.uuid));
        snapshot_delete::remove(xe, &left.uuid)?;
    }
    Ok(())
}

/// What a call has made that failed is removed, and the VM goes on that it has left suspended.
fn take(xe: &Xe, vm: &vm::Vm, name: &str, before: &[Snapshot], call: &Call) -> Result<Uuid> {
    let taken = xe.run_within(call, xe.transfer_limit).and_then(|answer| {
        answer.trim().parse::<Uuid>().with_context(|| format!("{call} answered something else"))
    });
    let error = match taken {
        Ok(uuid) => return Ok(uuid),
        Err(error) if refusal(&error).is_some() => return Err(error),
        Err(error) => error,
    };
    let undo = Undo::new(xe);
    if let (PowerState::Running, Some(host)) = (vm.power_state, &vm.resident_on) {
        undo.by(vm::resume(&vm.uuid, host));
    }
    if let Err(unknown) = find_unanswered(xe, &undo, &vm.uuid, name, before) {
        report::warn(format!("a snapshot {name} may be left in the pool: {unknown:#}"));
    }
    Err(error.context(format!("cannot take a snapshot of VM {}", vm.uuid)))
}

/// A snapshot whose making failed to answer may be there all the same.
fn find_unanswered(xe: &Xe, undo: &Undo<'_>, vm: &Uuid, name: &str, before: &[Snapshot]) -> Result<()> {
    let now = Snapshot::named(xe, vm, name)?;
    for left in now.iter().filter(|one| !before.iter().any(|old| old.uuid == one.uuid)) {
        let discs = snapshot_delete::shared_discs(xe, &left.uuid)?;
        undo.by(snapshot::uninstall(&left.uuid));
        for disc in &discs {
            undo.by(vbd::disown(&disc.uuid));
        }
    }
    Ok(())
}
