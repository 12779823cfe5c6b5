//! `one-xcp gc`: what drivers that were killed, and VMs that ended without a driver's doing, have left in the
//! pool. It shows what there is; only `--yes` removes.

mod checkpoints;
mod find;
mod flows;
mod images;
mod inventory;
mod leftover;
mod networks;
mod remove;
mod storage;

use super::claims::{Claim, Claims};
use super::text;
use crate::action::Caller;
use crate::parallel;
use crate::probe::{self, unix_time};
use crate::report::{self, Result};
use crate::xe::{PowerState, XeError, xe_error};
use anyhow::{bail, ensure};
use find::Judge;
use inventory::{Inventory, Machine};
use leftover::{Fate, Leftover};
use remove::Remover;
use std::path::{Path, PathBuf};

/// How often the pool is looked through where each look has removed something.
const PASSES: u32 = 3;

/// Show what killed drivers have left in the pool, and remove it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The host to ask, where XE_SERVER is HOST
    #[arg(default_value = "")]
    host: String,
    /// The VMs that OpenNebula has: what `onevm list -x` prints for oneadmin, or their ids; - for standard
    /// input. Without it only what is a leftover for certain is taken for one
    #[arg(long, value_name = "FILE")]
    vms_of: Option<PathBuf>,
    /// The last VM id that OpenNebula has given, if that VM is not in the list: higher ones are not judged
    #[arg(long, value_name = "ID", requires = "vms_of")]
    newest: Option<u32>,
    /// The images that OpenNebula has: what `oneimage list -x` prints for oneadmin
    #[arg(long, value_name = "FILE")]
    images_of: Option<PathBuf>,
    /// Remove the leftovers
    #[arg(long)]
    yes: bool,
    /// Before a disk goes whose data may still be wanted, write it to a file in this folder
    #[arg(long, value_name = "DIR")]
    save_to: Option<PathBuf>,
    /// How long ago a deployment must have begun to be taken for killed, in hours; at least XE_TRANSFER_TIMEOUT
    #[arg(long, value_name = "HOURS")]
    older_than: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    let conf = caller.conf()?;
    let xe = caller.xe(&conf, &args.host)?;
    if let Some(folder) = &args.save_to {
        ensure!(folder.is_dir(), "there is no folder {} to save disks in", folder.display());
    }
    let mut claims = args.vms_of.as_deref().map(Claims::load).transpose()?;
    if let (Some(claims), Some(newest)) = (&mut claims, args.newest) {
        claims.has_been(newest);
    }
    let images = args.images_of.as_deref().map(images::Images::load).transpose()?;
    let hours = args.older_than.map_or(0, |hours| hours.saturating_mul(3600));
    let begun_before = unix_time().saturating_sub(xe.transfer_limit.as_secs().max(hours));
    let mut judge = Judge { xe: &xe, claims, is_doubtful: false, begun_before };
    let datastores = probe::datastore_location(&conf, None);
    let mut shown = Vec::new();
    // What is removed may leave something of its own: the disk that somebody had detached from a VM, a snapshot of it.
    for pass in 1..=PASSES {
        let found = look(&mut judge, args, images.as_ref(), &datastores, pass == 1)?;
        let is_last = pass == PASSES || !found.iter().any(|(end, _)| matches!(end, End::Removed));
        shown.extend(found.into_iter().filter(|(end, _)| is_last || matches!(end, End::Removed)));
        if is_last {
            break;
        }
    }
    let lines: Vec<String> = shown.iter().map(|(_, line)| line.clone()).collect();
    if args.json {
        report::say(&text::array(&lines));
    } else {
        for line in &lines {
            report::say(line);
        }
    }
    let failed = shown.iter().filter(|(end, _)| matches!(end, End::Failed(_))).count();
    if failed > 0 {
        bail!("{failed} of {} leftovers could not be removed", shown.len());
    }
    Ok(String::new())
}

/// Looks through the pool once, and removes what is to be removed. Gives back what became of each leftover, and its line.
fn look(
    judge: &mut Judge<'_>,
    args: &Args,
    images: Option<&images::Images>,
    datastores: &Path,
    warns: bool,
) -> Result<Vec<(End, String)>> {
    let xe = judge.xe;
    let ((pool, names), networks) = parallel::both(
        || parallel::both(|| Inventory::look_up(xe), || storage::names(xe)),
        || networks::leftovers(xe),
    );
    let (pool, names, networks) = (pool?, names?, networks?);
    judge.is_doubtful = pool
        .ours
        .iter()
        .any(|vm| vm.vm.power_state == PowerState::Running && judge.said(vm.vm_id) == Claim::Unclaimed);
    let judge = &*judge;
    if warns {
        warn_of_list(judge, &pool, args.json);
    }
    let remover = Remover { xe, save_to: args.save_to.as_deref() };
    let (json, yes) = (args.json, args.yes);
    let mut found = Vec::new();
    // One after the other: several may be of the same VM, which is locked for each.
    for leftover in judge.leftovers(&pool)? {
        let end = settle(&remover, yes, &leftover);
        let line = show(&leftover, &end, json);
        found.push((end, line));
    }
    let search = storage::Search { judge, vdis: &pool.vdis, names: &names, images, locked: None };
    for leftover in search.leftovers() {
        let end = leftover.settle(judge, &remover, yes);
        let line = leftover.show(&end, json);
        found.push((end, line));
    }
    for file in checkpoints::leftovers(judge, &pool, datastores) {
        let end = file.settle(yes);
        let line = file.show(&end, json);
        found.push((end, line));
    }
    // After the VMs: the NICs of those that went are gone with them.
    for network in networks {
        let end = networks::settle(xe, yes, &network);
        let line = networks::show(&network, &end, json);
        found.push((end, line));
    }
    for flows in flows::look_up(xe)? {
        let end = flows::settle(xe, yes);
        let line = flows.show(&end, json);
        found.push((end, line));
    }
    Ok(found)
}

fn warn_of_list(judge: &Judge<'_>, pool: &Inventory, json: bool) {
    if judge.is_doubtful {
        report::warn(
            "VMs run that are not in the list of OpenNebula's VMs: it is old, or not of all VMs of this pool (another \
             front-end?). Nothing is taken for a leftover because it is not in it",
        );
    }
    let is_off = |vm: &Machine| matches!(vm.vm.power_state, PowerState::Halted | PowerState::Suspended);
    let not_judged =
        pool.ours.iter().filter(|vm| is_off(vm) && judge.said(vm.vm_id) == Claim::Unknown).count();
    if not_judged > 0 && !json {
        report::info(format!(
            "VMs that are halted or suspended and in no list of OpenNebula's VMs, so taken for wanted: {not_judged} (--vms-of, --newest)"
        ));
    }
}

/// What became of a leftover.
enum End {
    WouldBeRemoved,
    Removed,
    Kept(String),
    Failed(String),
}

impl End {
    fn failed(why: &anyhow::Error) -> End {
        let why_not = report::one_line(&format!("{why:#}"));
        match xe_error(why).and_then(XeError::advice) {
            Some(advice) => End::Failed(format!("{}: {advice}", why_not.trim_end_matches('.'))),
            None => End::Failed(why_not),
        }
    }

    /// The word for it, and what there is to say besides.
    fn words(&self) -> (&'static str, &str) {
        match self {
            End::WouldBeRemoved => ("leftover", "--yes removes it"),
            End::Removed => ("removed", ""),
            End::Kept(advice) => ("kept", advice.as_str()),
            End::Failed(why) => ("failed", why.as_str()),
        }
    }
}

fn settle(remover: &Remover<'_>, yes: bool, leftover: &Leftover) -> End {
    let removal = match &leftover.fate {
        Fate::Keep(advice) => return End::Kept(advice.clone()),
        Fate::Remove(removal) => removal,
    };
    if let (Some(disk), None) = (leftover.precious().first(), remover.save_to) {
        return End::Kept(format!(
            "disk {}: {}; --save-to DIR writes it to a file first",
            disk.disk_id, disk.reason
        ));
    }
    if !yes {
        return End::WouldBeRemoved;
    }
    match remover.remove(leftover, removal) {
        Ok(()) => End::Removed,
        Err(why) => End::failed(&why),
    }
}

fn show(leftover: &Leftover, end: &End, json: bool) -> String {
    let (word, more) = end.words();
    let (kind, uuid, vm_id) = (leftover.kind.word(), &leftover.uuid, leftover.vm_id);
    if json {
        return text::object(&[
            ("is", text::string(word)),
            ("kind", text::string(kind)),
            ("uuid", text::string(&uuid.to_string())),
            ("vm_id", vm_id.to_string()),
            ("why", text::string(&leftover.why)),
            ("more", text::string(more)),
        ]);
    }
    let more = if more.is_empty() { String::new() } else { format!("; {more}") };
    format!("{word:<8} {kind} {uuid} of VM {vm_id}: {}{more}", leftover.why)
}
