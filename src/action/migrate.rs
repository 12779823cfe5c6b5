//! `migrate`: moves a running VM to another host of the pool.

use super::Caller;
use crate::one::Conf;
use crate::parallel;
use crate::report::{self, Result};
use crate::xe::{PowerState, Uuid, Xe, host, outcome_unknown, vm, xe_error};
use anyhow::{Context, bail};

mod storage_motion;

/// Move a running VM to another host of the pool.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The VM's DEPLOY_ID, its uuid in XAPI
    deploy_id: Uuid,
    /// The host to move the VM to
    dest_host: String,
    /// The host the VM is on
    #[arg(default_value = "")]
    src_host: String,
    /// What OpenNebula appends: VM id and source host
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, args.source())?;
    migrate(&xe, &conf, args)
}

/// `migrate_local`, which OpenNebula's option `-l migrate=migrate_local` calls on the front-end instead: there
/// is no XAPI of its own.
pub fn run_on_front_end(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe_of_host(&conf, args.source())?;
    migrate(&xe, &conf, args)
}

impl Args {
    /// The host whose XAPI is asked; any of the pool's will do.
    fn source(&self) -> &str {
        if self.src_host.is_empty() { &self.dest_host } else { &self.src_host }
    }
}

fn migrate(xe: &Xe, conf: &Conf, args: &Args) -> Result<String> {
    let vm_id = args.rest.first().and_then(|word| word.parse().ok());
    let _lock = Caller::lock(xe, vm_id)?;
    let (vm, hosts) = parallel::both(|| vm::Vm::find(xe, &args.deploy_id), || host::Host::all(xe));
    let hosts = hosts?;
    let dest = host::named(&hosts, &args.dest_host).context("the destination")?;
    let vm = vm?.with_context(|| format!("the pool has no VM {}", args.deploy_id))?;
    if vm.is_running_on(&dest.uuid) {
        report::info(format!("VM {} already runs on {}", vm.uuid, args.dest_host));
        return Ok(String::new());
    }
    if vm.power_state != PowerState::Running {
        bail!("VM {} is {}: only a running VM can be migrated live", vm.uuid, vm.power_state);
    }
    let moved = match xe.run_within(&vm::live_migrate(&vm.uuid, &dest.uuid), xe.transfer_limit) {
        Err(error) if storage_motion::is_needed(&error) => {
            report::info(
                "disks of the VM are on storage that the destination does not see: they move with it",
            );
            storage_motion::run(xe, conf, &vm.uuid, dest)
        }
        other => other.map(drop),
    };
    match moved {
        Ok(()) => {}
        // The move may have gone on without us: where the VM runs decides.
        Err(error) if outcome_unknown(&error) => report::warn(format!("{error:#}")),
        Err(error) => return Err(explained(error, &args.dest_host)),
    }
    confirm(xe, &vm.uuid, dest)?;
    Ok(String::new())
}

/// Success is said only of a VM that runs where it was to go.
fn confirm(xe: &Xe, uuid: &Uuid, dest: &host::Host) -> Result<()> {
    let vm = vm::Vm::find(xe, uuid)?.with_context(|| format!("VM {uuid} is gone after the migration"))?;
    if vm.is_running_on(&dest.uuid) {
        return Ok(());
    }
    let place = vm.resident_on.map_or("on no host".to_owned(), |host| format!("on host {host}"));
    bail!("VM {uuid} is {} {place} after the migration, not running on {}", vm.power_state, dest.name_label)
}

/// XAPI's refusals in words that tell what to do. Found by code; the words for people come after it.
const REFUSALS: [(&[&str], &str); 8] = [
    (
        &["VM_LACKS_FEATURE", "VM_LACKS_FEATURE_SUSPEND", "VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS"],
        "the guest has no running guest tools, which live migration needs: install them, or migrate the VM powered off",
    ),
    (
        &["VDI_CBT_ENABLED"],
        "changed block tracking is on for one of its disks, and such a disk cannot change its storage: switch it off (xe vdi-disable-cbt)",
    ),
    (&["HOST_NOT_ENOUGH_FREE_MEMORY"], "the destination has not enough free memory"),
    (&["HOST_NOT_ENOUGH_PCPUS"], "the destination has fewer CPUs than the VM"),
    (
        &["HOST_DISABLED", "HOST_DISABLED_UNTIL_REBOOT"],
        "the destination is disabled in XAPI: enable it (xe host-enable)",
    ),
    (&["HOST_OFFLINE", "HOST_NOT_LIVE"], "the destination is not up"),
    (
        &["VM_INCOMPATIBLE_WITH_THIS_HOST", "CPU_INCOMPATIBLE"],
        "the destination's CPU lacks features that the VM was started with: restart the VM once",
    ),
    (&["TOO_MANY_STORAGE_MIGRATES"], "the host moves as many disks as it can at once: try again later"),
];

fn explained(error: anyhow::Error, dest: &str) -> anyhow::Error {
    let words = xe_error(&error)
        .and_then(|xapi| REFUSALS.iter().find(|(codes, _)| xapi.is(codes)))
        .map(|(_, words)| *words);
    match words {
        Some(words) => error.context(format!("cannot migrate to {dest}: {words}")),
        None => error.context(format!("cannot migrate to {dest}")),
    }
}
