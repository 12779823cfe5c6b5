//! `migrate`: moves a running VM to another host of the pool.

use super::identity::Identity;
use super::{Caller, console};
use crate::one::{Conf, Message};
use crate::parallel;
use crate::report::{self, Result};
use crate::translate::mark;
use crate::xe::{PowerState, Uuid, Xe, host, vm, xe_error};
use anyhow::{Context, bail, ensure};
use folder::Folder;
use std::path::{Path, PathBuf};

mod discs;
mod folder;
mod other_pool;
mod storage_motion;
mod tags;

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
    migrate(caller, &xe, &conf, args, conf.optional("XE_SERVER").is_some())
}

/// `migrate_local`, which OpenNebula's option `-l migrate=migrate_local` calls on the front-end instead: there
/// is no XAPI of its own.
pub fn run_on_front_end(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe_of_host(&conf, args.source())?;
    migrate(caller, &xe, &conf, args, true)
}

impl Args {
    /// The host whose XAPI is asked; any of the pool's will do.
    fn source(&self) -> &str {
        if self.src_host.is_empty() { &self.dest_host } else { &self.src_host }
    }
}

fn migrate(caller: &Caller, xe: &Xe, conf: &Conf, args: &Args, on_front_end: bool) -> Result<String> {
    let message = Message::from_stdin()?;
    let identity = caller.identity(message.as_ref(), args.rest.first().and_then(|vm_id| vm_id.parse().ok()));
    let vm_id = identity.vm_id();
    let job = Job { xe, conf, message: message.as_ref(), args, identity: &identity, on_front_end };
    let _lock = Caller::lock(xe, vm_id)?;
    let (vm, hosts) = parallel::both(|| vm::Vm::find(xe, &args.deploy_id), || host::Host::all(xe));
    let (vm, hosts) = (vm?, hosts?);
    if let Some(vm) = &vm {
        identity.check_and_mark(xe, vm)?;
    }
    match host::named(&hosts, &args.dest_host).context("the destination") {
        Ok(dest) => {
            let vm = vm.with_context(|| format!("the pool has no VM {}", args.deploy_id))?;
            job.within_pool(&vm, dest)?;
            if !vm.is_running_on(&dest.uuid) {
                console::moved(caller, conf, vm_id, &vm, &args.dest_host);
            }
        }
        Err(unknown) => match conf.optional("REMOTE_PASSWORD_FILE") {
            Some(file) => {
                other_pool::run(&job, vm.as_ref(), file)?;
                console::close(&args.deploy_id);
            }
            None => return Err(unknown),
        },
    }
    Ok(String::new())
}

/// One migration.
struct Job<'a> {
    xe: &'a Xe,
    conf: &'a Conf,
    message: Option<&'a Message>,
    args: &'a Args,
    /// Whose record the VM must be.
    identity: &'a Identity,
    on_front_end: bool,
}

impl Job<'_> {
    /// The VM's folder, if the destination has to get it.
    fn folder(&self) -> Result<Option<Folder>> {
        Folder::find(self.conf, self.message, self.args, self.on_front_end)
    }

    fn within_pool(&self, vm: &vm::Vm, dest: &host::Host) -> Result<()> {
        let xe = self.xe;
        let new_sr = storage_motion::new_sr(xe, &vm.uuid, self.message)?;
        let stays = vm.is_running_on(&dest.uuid);
        if stays && new_sr.is_none() {
            report::info(format!("VM {} already runs on {}", vm.uuid, dest.name_label));
            if let Some(folder) = self.folder()? {
                folder.complete(xe)?;
            }
            tags::warn_of(tags::mend(xe, self.message, &vm.uuid));
            mark_datastore(xe, self.conf, vm, self.message);
            return Ok(());
        }
        ensure_running(vm)?;
        let folder = self.folder()?;
        if let Some(folder) = &folder {
            folder.copy(xe)?;
        }
        let moved = match self.move_vm(vm, dest, new_sr.as_ref()) {
            Err(error) if stays => Err(explained(error, &dest.name_label)),
            moved => arrived(xe, &vm.uuid, dest, moved),
        };
        if let (Err(error), Some(folder)) = (&moved, &folder) {
            folder.take_back(xe, &vm.uuid, (!stays).then_some(dest), error);
        }
        moved?;
        mark_datastore(xe, self.conf, vm, self.message);
        Ok(())
    }

    fn move_vm(&self, vm: &vm::Vm, dest: &host::Host, new_sr: Option<&Uuid>) -> Result<()> {
        let xe = self.xe;
        if new_sr.is_some() {
            return storage_motion::run(xe, self.conf, &vm.uuid, dest, new_sr);
        }
        match xe.run_within(&vm::live_migrate(&vm.uuid, &dest.uuid), xe.transfer_limit) {
            Err(error) if storage_motion::is_needed(&error) => {
                report::info(
                    "disks of the VM are on storage that the destination does not see: they move with it",
                );
                storage_motion::run(xe, self.conf, &vm.uuid, dest, None)
            }
            other => other.map(drop),
        }
    }
}

fn ensure_running(vm: &vm::Vm) -> Result<()> {
    ensure!(
        vm.power_state == PowerState::Running,
        "VM {} is {}: only a running VM can be migrated live",
        vm.uuid,
        vm.power_state
    );
    Ok(())
}

/// The move may have gone on although its answer is an error: where the VM runs decides.
fn arrived(xe: &Xe, uuid: &Uuid, dest: &host::Host, moved: Result<()>) -> Result<()> {
    let Err(error) = moved else { return confirm(xe, uuid, dest) };
    let now = vm::Vm::find(xe, uuid);
    if now.is_ok_and(|now| now.is_some_and(|now| now.is_running_on(&dest.uuid))) {
        report::warn(format!("VM {uuid} runs on {}, but: {error:#}", dest.name_label));
        return Ok(());
    }
    Err(explained(error, &dest.name_label))
}

/// The marks of the system datastore and of the VM's folder there follow the VM, which this pool has now.
fn mark_datastore(xe: &Xe, conf: &Conf, vm: &vm::Vm, message: Option<&Message>) {
    let Some(message) = message else { return };
    let ds_id = message.vm.ds_id.map(|ds_id| (format!("other-config:{}", mark::DS_ID), ds_id.to_string()));
    let ds_id = ds_id.filter(|(_, ds_id)| vm.other_config(mark::DS_ID).is_some_and(|before| before != ds_id));
    // Only a VM with persistent disks in files has it.
    let before = vm.other_config(mark::FOLDER).filter(|before| !before.is_empty());
    let folder = before.and_then(|before| {
        // By its parts: OpenNebula writes two slashes here and there.
        let now = folder::target(conf, message).filter(|now| now != Path::new(before))?;
        mark::folder_mark(&now.components().collect::<PathBuf>())
    });
    let marks: Vec<(String, String)> = ds_id.into_iter().chain(folder).collect();
    if marks.is_empty() {
        return;
    }
    if let Err(error) = xe.run(&vm::set(&vm.uuid).set_all(marks)) {
        report::warn(format!(
            "VM {} keeps the marks of its old datastore, and its disks are not written back should its guest power \
             itself off: migrate it there once more: {error:#}",
            vm.uuid
        ));
    }
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
