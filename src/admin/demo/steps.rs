//! The demo's steps. The documents are what a real oned 7.4.0 sent.

use super::stage::Stage;
use crate::report::{self, Result};
use anyhow::ensure;
use base64::prelude::{BASE64_STANDARD, Engine};

pub const DEPLOYMENT: &str = include_str!("deployment.xml");
const ATTACH_DISK: &str = include_str!("attach_disk.xml");
const DETACH_DISK: &str = include_str!("detach_disk.xml");
const SNAPSHOT_CREATE: &str = include_str!("snapshot_create.xml");
const SNAPSHOT_REVERT: &str = include_str!("snapshot_revert.xml");
const SAVE: &str = include_str!("save.xml");
const RESTORE: &str = include_str!("restore.xml");
const MIGRATE: &str = include_str!("migrate.xml");
const TERMINATE: &str = include_str!("terminate.xml");

/// Plays a VM's life from its deployment to its end.
pub fn play(stage: &mut Stage) -> Result<()> {
    report::say(
        "A simulated pool: hosts xcp-a and xcp-b, a shared SR and a local one each. OpenNebula's scripts are",
    );
    report::say("links to this one program, and it asks the pool through xe.");
    stage.step("What OpenNebula learns of the host");
    stage.show("im/xcp-probes.d/host/system/xcp-system", &["xcp", "0", "xcp-a"], "")?;
    let uuid = deploy(stage)?;
    change(stage, &uuid)?;
    go_back(stage, &uuid)?;
    move_on(stage, &uuid)?;
    end(stage, &uuid)
}

fn deploy(stage: &mut Stage) -> Result<String> {
    let deployment_file = stage.folder.join("datastores/0/1/deployment.0").display().to_string();
    stage.step("Deploy: two image files and a context disc become a running VM");
    let uuid = stage.show("vmm/xcp/deploy", &[&deployment_file, "xcp-a", "1", "xcp-a"], DEPLOYMENT)?;
    stage.ask(&["vm-list", &format!("uuid={uuid}"), "params=uuid,name-label,power-state,resident-on"])?;
    stage.step("Poll, and the same for people");
    stage.show("vmm/xcp/poll", &[&uuid, "xcp-a"], "")?;
    stage.show("vmm/xcp/poll", &[&uuid, "xcp-a", "--table"], "")?;
    Ok(uuid)
}

fn change(stage: &mut Stage, uuid: &str) -> Result<()> {
    let file = stage.folder.join("datastores/0/1/disk.3").display().to_string();
    // OpenNebula gives attach_disk the document in an argument too.
    let document = BASE64_STANDARD.encode(ATTACH_DISK);
    stage.step("Another disk is plugged into the running VM, and out again: its data goes back to its file");
    stage.show("vmm/xcp/attach_disk", &[uuid, &file, "sdc", "2", &document, "1", "xcp-a"], ATTACH_DISK)?;
    stage.show("vmm/xcp/detach_disk", &[uuid, &file, "sdc", "2", "1", "xcp-a"], DETACH_DISK)?;
    Ok(())
}

fn go_back(stage: &mut Stage, uuid: &str) -> Result<()> {
    let checkpoint = stage.folder.join("datastores/0/1/checkpoint").display().to_string();
    stage.step("A snapshot with the VM's memory, and back to it");
    let snapshot = stage.show("vmm/xcp/snapshot_create", &[uuid, "0", "1", "xcp-a"], SNAPSHOT_CREATE)?;
    stage.show("vmm/xcp/snapshot_revert", &[uuid, &snapshot, "1", "xcp-a"], SNAPSHOT_REVERT)?;
    stage.step("The VM is suspended, and goes on");
    stage.show("vmm/xcp/save", &[uuid, &checkpoint, "xcp-a", "1", "xcp-a"], SAVE)?;
    stage.show("vmm/xcp/restore", &[&checkpoint, "xcp-a", uuid, "1", "xcp-a"], RESTORE)?;
    Ok(())
}

fn move_on(stage: &mut Stage, uuid: &str) -> Result<()> {
    stage.step("Live migration to xcp-b");
    stage.show("vmm/xcp/migrate", &[uuid, "xcp-b", "xcp-a", "1", "xcp-a"], MIGRATE)?;
    stage.step("Monitoring: the VM is on xcp-b now");
    stage.serve_xapi("xcp-b")?;
    stage.show("im/xcp-probes.d/host/monitor/xcp-monitor", &["xcp", "1", "xcp-b"], "")?;
    stage.show("im/xcp-probes.d/vm/status/xcp-status", &["xcp", "1", "xcp-b"], "")?;
    Ok(())
}

fn end(stage: &mut Stage, uuid: &str) -> Result<()> {
    stage.step("Terminate: the guest is shut down, the VM, its snapshot and its disks leave the pool");
    stage.show("vmm/xcp/shutdown", &[uuid, "xcp-b", "1", "xcp-b"], TERMINATE)?;
    stage.step("Nothing is left");
    let vms = stage.ask(&["vm-list", "name-label=one-1", "--minimal"])?;
    let vdis = stage.quietly("xe", ["vdi-list", "params=name-label", "--minimal"])?;
    ensure!(vms.is_empty() && !vdis.contains("one-1-"), "something of the VM is left: {vms} {vdis}");
    let vms = stage.quietly("xe", ["vm-list", "is-a-snapshot=true", "params=name-label", "--minimal"])?;
    ensure!(vms.trim().is_empty(), "a snapshot is left: {vms}");
    report::say("no VM, no snapshot, no disk of it");
    Ok(())
}
