//! `one-xcp demo`: a whole VM life on a simulated two-host pool, each step as OpenNebula would run it, and
//! what `xe` was asked.

use crate::report::{self, Result};
use anyhow::Context;
use stage::Stage;
use std::fs;

mod show;
mod stage;
mod steps;

/// Run a VM's whole life on a simulated pool of two hosts, and show each step.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Leave the pool, the links and the VM's files in place, and tell how to go on with them
    #[arg(long)]
    keep: bool,
}

pub fn run(args: &Args) -> Result<String> {
    let folder =
        tempfile::Builder::new().prefix("one-xcp-demo-").tempdir().context("cannot make a folder")?;
    let mut stage = Stage::set_up(folder.path())?;
    steps::play(&mut stage)?;
    if args.keep {
        let folder = folder.keep();
        report::say("");
        report::say(&format!("Kept in {}: remove it when you are done. To go on with it:", folder.display()));
        report::say(&format!(
            "  export XE_SIM={0}/pool DATASTORE_LOCATION={0}/datastores TMPDIR={0} CONSOLE=no PATH={0}/bin:$PATH",
            folder.display()
        ));
        let deployment_file = folder.join("datastores/0/1/deployment.0");
        fs::write(&deployment_file, steps::DEPLOYMENT)?;
        report::say("  xe vm-list");
        report::say(&format!(
            "  {}/remotes/vmm/xcp/deploy {} xcp-a",
            folder.display(),
            deployment_file.display()
        ));
        report::say("  one-xcp sim --help");
    }
    Ok(String::new())
}
