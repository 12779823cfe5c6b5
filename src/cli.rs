//! The command line: one variant for each script that OpenNebula calls, under the name it calls it by.

use crate::action::{
    Caller, attach_disk, attach_nic, cancel, console, console_relay, deploy, detach_disk, detach_nic, exec,
    exec_cancel, migrate, poll, prereconfigure, reboot, reconfigure, reset, resize, resize_disk, restore,
    save, shutdown, snapshot_create, snapshot_delete, snapshot_revert, write_back,
};
#[cfg(feature = "simulator")]
use crate::admin::demo;
use crate::admin::{doctor, gc, ls};
use crate::datastore;
use crate::links::{self, PROGRAM};
use crate::monitor::{client, control, counted};
use crate::one::Release;
use crate::probe;
use crate::report::{self, Result};
use crate::tm;
use crate::vnm;
use crate::xe::{XeError, xe_error};
use clap::{Parser, Subcommand};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// OpenNebula's drivers for XCP-ng, XenServer and Xen Cloud Platform.
#[derive(Parser, Debug)]
#[command(name = PROGRAM, version, max_term_width = 100)]
#[cfg_attr(
    feature = "simulator",
    command(
        after_help = "A simulated pool, where XE_SIM names its state file: one-xcp sim --help, one-xcp xe …"
    )
)]
pub struct Cli {
    /// Print every xe call and its time
    #[arg(short, long, global = true)]
    verbose: bool,
    /// The link this program was called by; its folder leads to the settings
    #[arg(long, hide = true, global = true)]
    called_as: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
#[command(rename_all = "snake_case")]
pub enum Action {
    Deploy(deploy::Args),
    Shutdown(shutdown::Args),
    Cancel(cancel::Args),
    Exec(exec::Args),
    ExecCancel(exec_cancel::Args),
    Migrate(migrate::Args),
    MigrateLocal(migrate::Args),
    Poll(poll::Args),
    AttachDisk(attach_disk::Args),
    DetachDisk(detach_disk::Args),
    AttachNic(attach_nic::Args),
    DetachNic(detach_nic::Args),
    Prereconfigure(prereconfigure::Args),
    Reconfigure(reconfigure::Args),
    UpdateConf(reconfigure::Args),
    Resize(resize::Args),
    ResizeDisk(resize_disk::Args),
    Reboot(reboot::Args),
    Reset(reset::Args),
    Save(save::Args),
    Restore(restore::Args),
    SnapshotCreate(snapshot_create::Args),
    SnapshotRevert(snapshot_revert::Args),
    SnapshotDelete(snapshot_delete::Args),
    Probe(probe::Args),
    Datastore(datastore::Args),
    Tm(tm::Args),
    Vnm(vnm::Args),
    Console(console::Args),
    #[command(name = control::SCRIPT)]
    MonitorControl(control::Args),
    #[command(name = client::NAME, hide = true)]
    MonitorClient(client::Args),
    Doctor(doctor::Args),
    Ls(ls::Args),
    Gc(gc::Args),
    WriteBack(write_back::Args),
    #[cfg(feature = "simulator")]
    Demo(demo::Args),
    /// Print the links that make up the drivers, one a line
    #[command(hide = true)]
    Links,
    /// Print what this program was built with
    #[command(hide = true)]
    Features,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Does what the command line asks for, and reports it.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let args = links::expand(args);
    if let Some(called_as) = console_relay::called_as(&args) {
        let caller = Caller { called_as, verbose: false };
        caller.set_state_dir();
        let result = console_relay::run(&caller);
        return reported(&caller, console_relay::NAME, result);
    }
    match Cli::try_parse_from(&args) {
        Ok(cli) => cli.run(),
        Err(wrong) => report::usage(&wrong).unwrap_or_else(|wrong| {
            let (called_as, name) = links::asked(&args);
            reported(&Caller { called_as, verbose: false }, &name, Err(wrong))
        }),
    }
}

fn reported(caller: &Caller, name: &str, result: Result<String>) -> ExitCode {
    match result {
        Ok(answer) => report::success(&answer),
        Err(error) => {
            let release = Release::beside(&caller.called_as);
            let error = with_advice(error);
            report::failure(name, &error, release.is_some_and(|release| release.marks_errors()))
        }
    }
}

/// What to do comes last, after XAPI's words.
fn with_advice(error: anyhow::Error) -> anyhow::Error {
    match xe_error(&error).and_then(XeError::advice) {
        Some(advice) => anyhow::anyhow!("{}: {advice}", format!("{error:#}").trim_end_matches('.')),
        None => error,
    }
}

impl Cli {
    fn run(self) -> ExitCode {
        // OpenNebula calls `./monitord-client_control.sh`, and what is above that is looked for. By hand the
        // program itself tells where the settings are.
        let called_as = self.called_as.or_else(|| env::current_exe().ok()).unwrap_or_default();
        let called_as = std::path::absolute(&called_as).unwrap_or(called_as);
        let caller = Caller { called_as, verbose: self.verbose };
        caller.set_state_dir();
        let (name, result) = self.action.run(&caller);
        reported(&caller, &name, result)
    }
}

impl Action {
    /// Runs it; gives back its name for error messages too.
    fn run(&self, caller: &Caller) -> (String, Result<String>) {
        let (name, result) = match self {
            Action::Deploy(args) => ("deploy", deploy::run(caller, args)),
            Action::Shutdown(args) => ("shutdown", shutdown::run(caller, args)),
            Action::Cancel(args) => ("cancel", cancel::run(caller, args)),
            Action::Exec(args) => ("exec", exec::run(caller, args)),
            Action::ExecCancel(args) => ("exec_cancel", exec_cancel::run(caller, args)),
            Action::Migrate(args) => ("migrate", migrate::run(caller, args)),
            Action::MigrateLocal(args) => ("migrate_local", migrate::run_on_front_end(caller, args)),
            Action::Poll(args) => ("poll", poll::run(caller, args, counted::of_vm)),
            Action::AttachDisk(args) => ("attach_disk", attach_disk::run(caller, args)),
            Action::DetachDisk(args) => ("detach_disk", detach_disk::run(caller, args)),
            Action::AttachNic(args) => ("attach_nic", attach_nic::run(caller, args)),
            Action::DetachNic(args) => ("detach_nic", detach_nic::run(caller, args)),
            Action::Prereconfigure(args) => ("prereconfigure", prereconfigure::run(caller, args)),
            Action::Reconfigure(args) => ("reconfigure", reconfigure::run(caller, args)),
            Action::UpdateConf(args) => ("update_conf", reconfigure::run(caller, args)),
            Action::Resize(args) => ("resize", resize::run(caller, args)),
            Action::ResizeDisk(args) => ("resize_disk", resize_disk::run(caller, args)),
            Action::Reboot(args) => ("reboot", reboot::run(caller, args)),
            Action::Reset(args) => ("reset", reset::run(caller, args)),
            Action::Save(args) => ("save", save::run(caller, args)),
            Action::Restore(args) => ("restore", restore::run(caller, args)),
            Action::SnapshotCreate(args) => ("snapshot_create", snapshot_create::run(caller, args)),
            Action::SnapshotRevert(args) => ("snapshot_revert", snapshot_revert::run(caller, args)),
            Action::SnapshotDelete(args) => ("snapshot_delete", snapshot_delete::run(caller, args)),
            Action::Probe(args) => ("probe", probe::run(caller, args)),
            Action::Datastore(args) => return datastore::run(caller, args),
            Action::Tm(args) => return tm::run(caller, args),
            Action::Vnm(args) => return vnm::run(caller, args),
            Action::Console(args) => ("console", console::run(caller, args)),
            Action::MonitorControl(args) => (control::SCRIPT, control::run(caller, args)),
            Action::MonitorClient(args) => (client::NAME, client::run(caller, args)),
            Action::Doctor(args) => ("doctor", doctor::run(caller, args)),
            Action::Ls(args) => ("ls", ls::run(caller, args)),
            Action::Gc(args) => ("gc", gc::run(caller, args)),
            Action::WriteBack(args) => (write_back::NAME, write_back::run(caller, args)),
            #[cfg(feature = "simulator")]
            Action::Demo(args) => ("demo", demo::run(args)),
            Action::Links => (PROGRAM, Ok(links::all().join("\n"))),
            Action::Features => (PROGRAM, Ok(links::features().join(" "))),
            Action::Other(words) => return links::not_an_action(words),
        };
        (name.to_owned(), result)
    }
}
