//! Migration of a VM together with its disks, where the destination does not see the storage they are on.

use super::{discs, tags};
use crate::one::{Conf, Message};
use crate::parallel;
use crate::report::{self, Result};
use crate::retry::Retry;
use crate::translate::mark;
use crate::xe::changed_blocks;
use crate::xe::{Call, Record, Uuid, Xe, call, failed_with, host::Host, sr, vbd::Vbd, vdi::Vdi};
use anyhow::{Context, ensure};
use std::fs;

/// XAPI's ways of saying that the destination does not see a disk's storage.
const STORAGE_NOT_SEEN: [&str; 3] = ["VM_REQUIRES_SR", "HOST_CANNOT_SEE_SR", "SR_NOT_SHARABLE"];

/// Whether a migration failed for want of storage motion.
pub fn is_needed(error: &anyhow::Error) -> bool {
    failed_with(error, &STORAGE_NOT_SEEN)
}

/// XAPI lets a host take part in three such migrations at once (xapi_vm_migrate.ml:139): one may end soon.
const TURN: Retry = Retry { tries: 6, first_pauses: 4 };

/// The SR of the system datastore that OpenNebula moves the VM to, if it names one and disks of the VM's own are
/// elsewhere. Disks of `xcp` image datastores stay where they are.
pub fn new_sr(xe: &Xe, vm: &Uuid, message: Option<&Message>) -> Result<Option<Uuid>> {
    let Some(name) = message.and_then(|message| message.system_sr.as_deref()) else { return Ok(None) };
    let sr = sr::named(xe, name).context("XCP_SR of the system datastore")?;
    let moves = disks(xe, vm)?.iter().any(|(vbd, vdi)| mark::goes_with_vm(vbd) && vdi.sr_uuid != sr);
    Ok(moves.then_some(sr))
}

/// The VM's devices and their VDIs.
pub fn disks(xe: &Xe, vm: &Uuid) -> Result<Vec<(Vbd, Vdi)>> {
    let vbds: Vec<Vbd> = Vbd::of_vm(xe, vm)?.into_iter().filter(|vbd| vbd.vdi_uuid.is_some()).collect();
    let vdis = parallel::map(&vbds, |vbd| match &vbd.vdi_uuid {
        Some(vdi) => Vdi::find(xe, vdi)?.with_context(|| format!("VDI {vdi} of the VM is gone")),
        None => anyhow::bail!("the drive is empty"),
    });
    vbds.into_iter().zip(vdis).map(|(vbd, vdi)| Ok((vbd, vdi?))).collect()
}

/// Migrates the VM and those of its disks that the destination does not see, and the VM's own to `new_sr` if
/// there is one. The others are told to stay: `xe` would choose an SR for each disk that is not named
/// (cli_operations.ml `vm_migrate`).
pub fn run(xe: &Xe, conf: &Conf, vm: &Uuid, dest: &Host, new_sr: Option<&Uuid>) -> Result<()> {
    let file = conf.optional("XE_PASSWORD_FILE").context(
        "moving a VM's disks needs XE_PASSWORD_FILE in xcprc (user name and password on two lines), as XAPI asks for them",
    )?;
    let login = Login::read("XE_PASSWORD_FILE", file)?;
    let target = match new_sr {
        Some(sr) => sr.clone(),
        None => target_sr(xe, conf, dest)?,
    };
    let seen = srs_of_host(xe, &dest.uuid)?;
    ensure!(
        seen.contains(&target),
        "SR {target}, where the disks should go, is not plugged in on {}",
        dest.name_label
    );
    let mut migrate = begin(vm, dest, &coordinator_address(xe)?, &login);
    let before = disks(xe, vm)?;
    for (vbd, vdi) in &before {
        let stays = seen.contains(&vdi.sr_uuid) && !(new_sr.is_some() && mark::goes_with_vm(vbd));
        migrate = migrate.set(format!("vdi:{}", vdi.uuid), if stays { &vdi.sr_uuid } else { &target });
    }
    let sent = send(xe, vm, &migrate, &login);
    // The answer alone may have been lost.
    let kept = tags::keep(xe, vm, &before);
    discs::put_back(xe, vm, &before, &dest.uuid, &seen, &target);
    if sent.is_ok() {
        tags::warn_of(kept);
    }
    sent
}

/// The call but for what goes where.
pub fn begin(vm: &Uuid, dest: &Host, coordinator: &str, login: &Login) -> Call {
    call("vm-migrate")
        .set("uuid", vm)
        .set("host-uuid", &dest.uuid)
        .set("live", true)
        .set("remote-master", coordinator)
        .set("remote-username", &login.user)
}

/// Sends a VM whose disks' changes may be tracked for backups: they cannot be moved then
/// (xapi_vm_migrate.ml:226). The next backup of each is a whole one.
pub fn send(xe: &Xe, vm: &Uuid, migrate: &Call, login: &Login) -> Result<()> {
    match send_untracked(xe, migrate, login) {
        Err(error) if failed_with(&error, &["VDI_CBT_ENABLED"]) => {
            report::info(
                "the changes of the VM's disks are no longer tracked: tracked disks cannot be moved",
            );
            for (_, vdi) in disks(xe, vm)? {
                if vdi.is_tracked {
                    xe.run(&changed_blocks::untrack(&vdi.uuid))?;
                }
            }
            send_untracked(xe, migrate, login)
        }
        other => other,
    }
}

/// Waits its turn where as many disks are on their way as XAPI moves at once.
fn send_untracked(xe: &Xe, migrate: &Call, login: &Login) -> Result<()> {
    TURN.run(
        || xe.run_with_secret(migrate, "remote-password", &login.password, xe.transfer_limit).map(drop),
        |error| failed_with(error, &["TOO_MANY_STORAGE_MIGRATES"]),
    )
}

/// The destination host logs in to the pool by itself: XAPI wants the password for that even inside one pool
/// (xapi cli_operations.ml:4586).
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// Reads the file that a setting names: user name and password on two lines.
    pub fn read(setting: &str, file: &str) -> Result<Login> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {setting} {file}"))?;
        let mut lines = text.lines();
        match (lines.next(), lines.next()) {
            (Some(user), Some(password)) => {
                Ok(Login { user: user.to_owned(), password: password.to_owned() })
            }
            _ => anyhow::bail!("{setting} {file} must hold a user name and a password, on two lines"),
        }
    }
}

/// MIGRATE_SR, else the pool's default SR if the destination sees it, else the destination's own storage.
pub fn target_sr(xe: &Xe, conf: &Conf, dest: &Host) -> Result<Uuid> {
    if let Some(name) = conf.optional("MIGRATE_SR") {
        return sr::named(xe, name).context("MIGRATE_SR");
    }
    let seen = srs_of_host(xe, &dest.uuid)?;
    if let Some(default) = sr::pool_default(xe)?.filter(|default| seen.contains(default)) {
        return Ok(default);
    }
    let read =
        |record: &Record<'_>| Ok((record.get::<Uuid>("uuid")?, record.text("content-type").to_owned()));
    let candidates = xe.list("sr", &["uuid", "content-type"], &[], read)?;
    let own = candidates.into_iter().find(|(uuid, content)| seen.contains(uuid) && content == "user");
    Ok(own
        .with_context(|| format!("{} has no storage for disks; name one with MIGRATE_SR", dest.name_label))?
        .0)
}

/// The SRs that are plugged in on a host.
fn srs_of_host(xe: &Xe, host: &Uuid) -> Result<Vec<Uuid>> {
    let filters = [("host-uuid", &*host.to_string()), ("currently-attached", "true")];
    xe.list("pbd", &["uuid", "sr-uuid"], &filters, |record| record.get("sr-uuid"))
}

pub fn coordinator_address(xe: &Xe) -> Result<String> {
    let master: Uuid = xe
        .list("pool", &["uuid", "master"], &[], |record| record.get("master"))?
        .pop()
        .context("xe lists no pool")?;
    let hosts = Host::all(xe)?;
    let coordinator = hosts.into_iter().find(|host| host.uuid == master);
    Ok(coordinator.context("the pool's coordinator is not among its hosts")?.address)
}
