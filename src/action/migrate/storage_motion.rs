//! Migration of a VM together with its disks, where the destination does not see the storage they are on.

use crate::one::Conf;
use crate::report::Result;
use crate::retry::Retry;
use crate::xe::{Record, Uuid, Xe, call, failed_with, host::Host, sr, vbd::Vbd, vdi::Vdi};
use anyhow::{Context, ensure};
use std::fs;
use std::time::Duration;

/// XAPI's ways of saying that the destination does not see a disk's storage.
const STORAGE_NOT_SEEN: [&str; 3] = ["VM_REQUIRES_SR", "HOST_CANNOT_SEE_SR", "SR_NOT_SHARABLE"];

/// Whether a migration failed for want of storage motion.
pub fn is_needed(error: &anyhow::Error) -> bool {
    failed_with(error, &STORAGE_NOT_SEEN)
}

/// XAPI lets a host take part in three such migrations at once (xapi_vm_migrate.ml:139): one may end soon.
const TURN: Retry = Retry { tries: 6, first_pause: Duration::from_secs(2) };

/// Migrates the VM and those of its disks that the destination does not see. The others are told to stay:
/// `xe` would choose an SR for each disk that is not named (cli_operations.ml `vm_migrate`).
pub fn run(xe: &Xe, conf: &Conf, vm: &Uuid, dest: &Host) -> Result<()> {
    let (user, password) = login(conf)?;
    let target = target_sr(xe, conf, dest)?;
    let seen = srs_of_host(xe, &dest.uuid)?;
    ensure!(
        seen.contains(&target),
        "SR {target}, where the disks should go, is not plugged in on {}",
        dest.name_label
    );
    let mut migrate = call("vm-migrate")
        .set("uuid", vm)
        .set("host-uuid", &dest.uuid)
        .set("live", true)
        .set("remote-master", coordinator_address(xe)?)
        .set("remote-username", &user);
    for vbd in Vbd::of_vm(xe, vm)? {
        let Some(vdi) = vbd.vdi_uuid else { continue };
        let vdi = Vdi::find(xe, &vdi)?.with_context(|| format!("VDI {vdi} of the VM is gone"))?;
        let sr = if seen.contains(&vdi.sr_uuid) { &vdi.sr_uuid } else { &target };
        migrate = migrate.set(format!("vdi:{}", vdi.uuid), sr);
    }
    TURN.run(
        || xe.run_with_secret(&migrate, "remote-password", &password, xe.transfer_limit).map(drop),
        |error| failed_with(error, &["TOO_MANY_STORAGE_MIGRATES"]),
    )
}

/// The destination host logs in to the pool by itself: XAPI wants the password for that even inside one pool
/// (xapi cli_operations.ml:4586).
fn login(conf: &Conf) -> Result<(String, String)> {
    let file = conf.optional("XE_PASSWORD_FILE").context(
        "moving a VM's disks needs XE_PASSWORD_FILE in xcprc (user name and password on two lines), as XAPI asks for them",
    )?;
    let text = fs::read_to_string(file).with_context(|| format!("cannot read XE_PASSWORD_FILE {file}"))?;
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(user), Some(password)) => Ok((user.to_owned(), password.to_owned())),
        _ => anyhow::bail!("XE_PASSWORD_FILE {file} must hold a user name and a password, on two lines"),
    }
}

/// MIGRATE_SR, else the pool's default SR if the destination sees it, else the destination's own storage.
fn target_sr(xe: &Xe, conf: &Conf, dest: &Host) -> Result<Uuid> {
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

fn coordinator_address(xe: &Xe) -> Result<String> {
    let master: Uuid = xe
        .list("pool", &["uuid", "master"], &[], |record| record.get("master"))?
        .pop()
        .context("xe lists no pool")?;
    let hosts = Host::all(xe)?;
    let coordinator = hosts.into_iter().find(|host| host.uuid == master);
    Ok(coordinator.context("the pool's coordinator is not among its hosts")?.address)
}
