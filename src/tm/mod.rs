//! Disks of VMs as VDIs: one file for each script of `tm/xcp`, under that script's name. `disk.N` on the host is a
//! file of one line that names the VDI.

mod backup_folder;
mod backup_request;
mod clone;
mod context;
mod cpds;
mod delete;
mod disk;
mod failmigrate;
mod increments;
mod ln;
mod migration;
mod mkimage;
mod mkswap;
mod monitor;
mod moved;
mod mv;
mod mvds;
mod postbackup;
mod postbackup_live;
mod postmigrate;
mod prebackup;
mod prebackup_live;
mod premigrate;
mod records;
mod resize;
mod restore;
mod show;
mod snap_create;
mod snap_create_live;
mod snap_delete;
mod snap_revert;

use crate::action::Caller;
use crate::one::Conf;
use crate::one::conf::NAMED_HOST;
use crate::one::datastore_request::bridges_of;
use crate::report::Result;
use crate::ssh;
use crate::storage::{bridge, place};
use crate::xe::Xe;
use anyhow::{Context, anyhow};
use place::Place;
use std::path::PathBuf;
use std::str::FromStr;

/// Scripts of OpenNebula's that bring disks to VMs and take them away.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The script
    #[arg(value_parser = SCRIPTS)]
    script: String,
    /// What OpenNebula gives it
    #[arg(allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The scripts, as OpenNebula calls them.
pub const SCRIPTS: [&str; 23] = [
    "clone",
    "context",
    "cpds",
    "delete",
    "failmigrate",
    "ln",
    "mkimage",
    "mkswap",
    "monitor",
    "mv",
    "mvds",
    "postbackup",
    "postbackup_live",
    "postmigrate",
    "prebackup",
    "prebackup_live",
    "premigrate",
    "resize",
    "restore",
    "snap_create",
    "snap_create_live",
    "snap_delete",
    "snap_revert",
];

/// Runs the script; gives back its name for errors.
pub fn run(caller: &Caller, args: &Args) -> (String, Result<String>) {
    let begun = caller.conf().map(|conf| Call { caller, conf, words: &args.words });
    let result = begun.and_then(|call| match args.script.as_str() {
        "clone" => clone::run(&call),
        "context" => context::run(&call),
        "cpds" => cpds::run(&call),
        "delete" => delete::run(&call),
        "failmigrate" => failmigrate::run(&call),
        "ln" => ln::run(&call),
        "mkimage" => mkimage::run(&call),
        "mkswap" => mkswap::run(&call),
        "mv" => mv::run(&call),
        "mvds" => mvds::run(&call),
        "postbackup" => postbackup::run(&call),
        "postbackup_live" => postbackup_live::run(&call),
        "prebackup" => prebackup::run(&call),
        "prebackup_live" => prebackup_live::run(&call),
        "postmigrate" => postmigrate::run(&call),
        "premigrate" => premigrate::run(&call),
        "resize" => resize::run(&call),
        "restore" => restore::run(&call),
        "snap_create" => snap_create::run(&call),
        "snap_create_live" => snap_create_live::run(&call),
        "snap_delete" => snap_delete::run(&call),
        "snap_revert" => snap_revert::run(&call),
        _ => monitor::run(&call),
    });
    // With success nothing is answered but by monitor.
    (format!("tm {}", args.script), result)
}

/// One call: its arguments, and whom to ask in turn.
struct Call<'a> {
    caller: &'a Caller,
    conf: Conf,
    words: &'a [String],
}

impl Call<'_> {
    /// An argument, by its place from 0.
    fn word<T: FromStr<Err: Into<anyhow::Error>>>(&self, index: usize, what: &str) -> Result<T> {
        let text = self.words.get(index).with_context(|| format!("{what} is missing"))?;
        text.parse::<T>().map_err(|why| anyhow!("{what} is {text:?}: {:#}", why.into()))
    }

    /// What follows the host in `FRONTEND:SOURCE`.
    fn source(&self, index: usize) -> Result<crate::xe::Uuid> {
        let text = self.words.get(index).context("the image's source is missing")?;
        let source = text.rsplit_once(':').map_or(text.as_str(), |(_, source)| source);
        source.parse().context("the image's source")
    }

    /// The XAPI that the disk at `place` belongs to: that of its host or, when the VM is on none, that of the
    /// datastore's BRIDGE_LIST.
    fn xe(&self, place: &Place, ds_id: u32) -> Result<Xe> {
        let mut host = place.host.clone();
        // In a dom0, by hand, nothing tells of datastores; it has its own xe.
        let is_settled = ["XE_SERVER", "XE_BRIDGE"]
            .iter()
            .any(|name| self.conf.optional(name).is_some_and(|value| value != NAMED_HOST));
        if !is_settled && ssh::is_here(&host) && show::is_there() {
            let bridges = show::datastore(ds_id)?.setting("BRIDGE_LIST");
            let bridge = bridge::answering(&self.conf, &bridges_of(&bridges, ds_id))?;
            if !bridge.is_empty() {
                bridge.clone_into(&mut host);
            }
        }
        let mut xe = self.caller.xe(&self.conf, &host)?;
        bridge::set(&mut xe, &self.conf, &host)?;
        Ok(xe)
    }

    /// A script of OpenNebula's datastores, `remotes/datastore/NAME`; none by hand.
    fn datastore_script(&self, name: &str) -> Option<PathBuf> {
        let file = self.caller.called_as.ancestors().nth(3)?.join("datastore").join(name);
        file.is_file().then_some(file)
    }

    /// A script of another transfer manager's, `remotes/tm/FOLDER/NAME`; none by hand.
    fn beside(&self, folder: &str, name: &str) -> Option<PathBuf> {
        let file = self.caller.called_as.parent()?.parent()?.join(folder).join(name);
        file.is_file().then_some(file)
    }
}
