//! Migration to a host of another pool: the VM goes with its disks, and its VIFs to the networks of the same
//! names. It keeps its uuid.

use super::storage_motion::{self, Login};
use super::{Job, arrived, discs, ensure_running, mark_datastore, tags};
use crate::action::identity::Identity;
use crate::parallel;
use crate::report::{self, Result};
use crate::xe::host::{self, Host};
use crate::xe::network::Network;
use crate::xe::{Uuid, Xe, vm};
use anyhow::{Context, ensure};
use std::path::PathBuf;

/// `file` is REMOTE_PASSWORD_FILE, with which the other pool is asked too. Everything is looked up on both sides
/// before the one call that moves.
pub fn run(job: &Job<'_>, vm: Option<&vm::Vm>, file: &str) -> Result<()> {
    let (xe, conf, message) = (job.xe, job.conf, job.message);
    let (uuid, dest_name) = (&job.args.deploy_id, &job.args.dest_host);
    let login = Login::read("REMOTE_PASSWORD_FILE", file)?;
    ensure!(!dest_name.starts_with('-'), "{dest_name:?} is not a host's name");
    let there = xe.of_other_pool(host::without_brackets(dest_name), PathBuf::from(file));
    let hosts = Host::all(&there)
        .with_context(|| format!("{dest_name} is no host of this pool, and its own pool cannot be asked"))?;
    let dest = host::named(&hosts, dest_name).context("the destination")?;
    let Some(vm) = vm else {
        let vm = already_there(&there, job.identity, uuid, dest)?;
        if let Some(folder) = job.folder()? {
            folder.complete(xe)?;
        }
        tags::warn_of(tags::mend(&there, message, uuid));
        mark_datastore(&there, conf, &vm, message);
        discs::clear_left_behind(xe, message, uuid)?;
        return Ok(());
    };
    ensure_running(vm)?;
    let ((ways, sr), coordinator) = parallel::both(
        || parallel::both(|| networks(xe, &there, uuid), || storage_motion::target_sr(&there, conf, dest)),
        || storage_motion::coordinator_address(&there),
    );
    let (ways, sr) = (ways?, sr?);
    let mut migrate = storage_motion::begin(uuid, dest, &coordinator?, &login);
    for (vif, network) in ways {
        migrate = migrate.set(format!("vif:{vif}"), network);
    }
    let disks = storage_motion::disks(xe, uuid)?;
    for (_, vdi) in &disks {
        migrate = migrate.set(format!("vdi:{}", vdi.uuid), &sr);
    }
    report::info(format!("VM {uuid} goes to {}, a host of another pool, with its disks", dest.name_label));
    let folder = job.folder()?;
    if let Some(folder) = &folder {
        folder.copy(xe)?;
    }
    let moved = arrived(&there, uuid, dest, storage_motion::send(xe, uuid, &migrate, &login));
    if let (Err(error), Some(folder)) = (&moved, &folder) {
        folder.take_back(xe, uuid, Some(dest), error);
    }
    moved?;
    tags::warn_of(tags::keep(&there, uuid, &disks));
    mark_datastore(&there, conf, vm, message);
    discs::follow(job, &there, uuid, &sr, &disks);
    Ok(())
}

/// Done again, the VM is there already.
fn already_there(there: &Xe, identity: &Identity, uuid: &Uuid, dest: &Host) -> Result<vm::Vm> {
    let vm = vm::Vm::find(there, uuid)?
        .with_context(|| format!("neither this pool nor that of {} has the VM {uuid}", dest.name_label))?;
    identity.check(&vm)?;
    ensure!(
        vm.is_running_on(&dest.uuid),
        "VM {uuid} is {} in the pool of {}, and not running there",
        vm.power_state,
        dest.name_label
    );
    report::info(format!("VM {uuid} already runs on {}", dest.name_label));
    Ok(vm)
}

/// For each VIF of the VM the network over there that has the same name, or else is on the same bridge.
fn networks(here: &Xe, there: &Xe, vm: &Uuid) -> Result<Vec<(Uuid, Uuid)>> {
    let filter = [("vm-uuid", &*vm.to_string())];
    let ((vifs, ours), theirs) = parallel::both(
        || {
            let read = |record: &crate::xe::Record<'_>| {
                Ok((record.get::<Uuid>("uuid")?, record.get::<Uuid>("network-uuid")?))
            };
            parallel::both(
                || here.list("vif", &["uuid", "network-uuid"], &filter, read),
                || Network::all(here),
            )
        },
        || Network::all(there),
    );
    let (ours, theirs) = (ours?, theirs?);
    let way = |(vif, network): (Uuid, Uuid)| {
        let ours = ours.iter().find(|ours| ours.uuid == network).context("a network of the VM is gone")?;
        Ok((vif, same_network(ours, &theirs)?.uuid.clone()))
    };
    vifs?.into_iter().map(way).collect()
}

fn same_network<'a>(ours: &Network, theirs: &'a [Network]) -> Result<&'a Network> {
    let by_name: Vec<&Network> = theirs.iter().filter(|their| their.name_label == ours.name_label).collect();
    if let [only] = by_name.as_slice() {
        return Ok(only);
    }
    theirs.iter().find(|their| their.bridge == ours.bridge).with_context(|| {
        format!(
            "the other pool has no network {:?}, nor one on bridge {:?}: make one for the VM's VIF",
            ours.name_label, ours.bridge
        )
    })
}
