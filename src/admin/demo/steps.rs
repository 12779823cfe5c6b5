//! The demo's steps. The documents are what a real oned 7.4.0 sent.

use super::Stage;
use crate::report::Result;
use anyhow::ensure;

pub const DEPLOYMENT: &str = include_str!("deployment.xml");
const MIGRATE: &str = include_str!("migrate.xml");
const TERMINATE: &str = include_str!("terminate.xml");

/// Plays a VM's life from its deployment to its end.
pub fn play(stage: &mut Stage) -> Result<()> {
    let deployment_file = stage.folder.join("datastores/0/1/deployment.0").display().to_string();
    stage.say(
        "A simulated pool: hosts xcp-a and xcp-b, a shared SR and a local one each. OpenNebula's scripts are",
    );
    stage.say("links to this one program, and it asks the pool through xe.");

    stage.step("What OpenNebula learns of the host");
    stage.show("im/xcp-probes.d/host/system/xcp-system", &["xcp", "0", "xcp-a"], "")?;

    stage.step("Deploy: two image files and a context disc become a running VM");
    let uuid = stage.show("vmm/xcp/deploy", &[&deployment_file, "xcp-a", "1", "xcp-a"], DEPLOYMENT)?;
    stage.ask(&["vm-list", &format!("uuid={uuid}"), "params=uuid,name-label,power-state,resident-on"])?;

    stage.step("Poll, and the same for people");
    stage.show("vmm/xcp/poll", &[&uuid, "xcp-a"], "")?;
    stage.show("vmm/xcp/poll", &[&uuid, "xcp-a", "--table"], "")?;

    stage.step("Live migration to xcp-b");
    stage.show("vmm/xcp/migrate", &[&uuid, "xcp-b", "xcp-a", "1", "xcp-a"], MIGRATE)?;

    stage.step("Monitoring: the VM is on xcp-b now");
    stage.show("im/xcp-probes.d/host/monitor/xcp-monitor", &["xcp", "1", "xcp-b"], "")?;
    stage.show("im/xcp-probes.d/vm/status/xcp-status", &["xcp", "1", "xcp-b"], "")?;

    stage.step("Terminate: the guest is shut down, the VM and its disks leave the pool");
    stage.show("vmm/xcp/shutdown", &[&uuid, "xcp-b", "1", "xcp-b"], TERMINATE)?;

    stage.step("Nothing is left");
    let vms = stage.ask(&["vm-list", "name-label=one-1", "--minimal"])?;
    let vdis = stage.quietly("xe", ["vdi-list", "params=name-label", "--minimal"])?;
    ensure!(vms.is_empty() && !vdis.contains("one-1-"), "something of the VM is left: {vms} {vdis}");
    stage.say("no VM, no disk of it");
    Ok(())
}
