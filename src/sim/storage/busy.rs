//! What XAPI does of one SR at a time: making, destroying, resizing, cloning and snapshotting VDIs
//! (`xapi_sr_operations.ml` `valid_operations`). Whoever comes second sleeps 1 to 20 s and tries again
//! (`helpers.ml` `Repeat_with_uniform_backoff`), here a thousandth of it unless `sim backoff` says otherwise.

use crate::sim::arguments::Command;
use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::Class;
use crate::sim::store::Store;
use crate::sim::task;
use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest sleep, in milliseconds; the shortest is a twentieth of it.
const LONGEST_MS: u64 = 20;

/// Begins what the call does to SRs, once nothing else is done to them. It ends when this is dropped.
pub fn begin(store: &Store, command: &Command) -> Outcome<Vec<File>> {
    let mut begun = Vec::new();
    for sr in srs(store, command)? {
        let file = open(store, &sr)?;
        while !try_lock(&file)? {
            note(store, &command.verb, &sr)?;
            task::sleep(sleep(store))?;
        }
        begun.push(file);
    }
    Ok(begun)
}

/// The same if nothing else is done to them at this moment.
pub fn try_begin(store: &Store, command: &Command) -> Outcome<Option<Vec<File>>> {
    let mut begun = Vec::new();
    for sr in srs(store, command)? {
        let file = open(store, &sr)?;
        if !try_lock(&file)? {
            return Ok(None);
        }
        begun.push(file);
    }
    Ok(Some(begun))
}

/// The SRs that the call changes.
fn srs(store: &Store, command: &Command) -> Outcome<BTreeSet<String>> {
    match command.verb.as_str() {
        "vdi-create" => Ok(command.get("sr-uuid").map(str::to_owned).into_iter().collect()),
        "vdi-destroy" | "vdi-resize" | "vdi-clone" | "vdi-snapshot" | "vm-uninstall" | "vm-snapshot"
        | "snapshot-revert" | "snapshot-uninstall" => Ok(srs_of(&store.read()?, command)),
        _ => Ok(BTreeSet::new()),
    }
}

/// The SRs of the VDI, or of the disks of the VM, that the command names.
fn srs_of(pool: &Pool, command: &Command) -> BTreeSet<String> {
    let named =
        ["uuid", "vm", "snapshot-uuid"].into_iter().find_map(|key| command.get(key)).unwrap_or_default();
    let of_vm = pool.rows(Class::Vbd).iter().filter(|vbd| vbd.get("vm-uuid") == named);
    let vdis = of_vm.map(|vbd| vbd.get("vdi-uuid")).chain([named]);
    vdis.filter_map(|vdi| pool.find(Class::Vdi, vdi)).map(|vdi| vdi.get("sr-uuid").to_owned()).collect()
}

fn open(store: &Store, sr: &str) -> Result<File> {
    // An unknown SR is refused by the verb itself; a path is none.
    let name: String = sr.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let path = store.beside(&format!(".busy-{name}"));
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

fn try_lock(file: &File) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(why) => Err(why).context("cannot lock an SR"),
    }
}

/// Sets the longest sleep, in milliseconds.
pub fn set_longest(store: &Store, milliseconds: u64) -> Result<()> {
    fs::write(store.beside(".backoff"), milliseconds.to_string()).context("cannot write the longest sleep")
}

fn sleep(store: &Store) -> Duration {
    let set = fs::read_to_string(store.beside(".backoff")).ok().and_then(|text| text.trim().parse().ok());
    let longest = Duration::from_millis(set.unwrap_or(LONGEST_MS));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    longest / 20 + longest * 19 / 20 * (now / 1000 % 1000) / 1000
}

/// Writes down that a call sleeps.
fn note(store: &Store, verb: &str, sr: &str) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(store.beside(".sleeps"))?;
    file.write_all(format!("{verb} {sr}\n").as_bytes()).context("cannot write down that a call sleeps")
}

/// The verb and SR of each sleep so far, a line each.
pub fn sleeps(store: &Store) -> String {
    fs::read_to_string(store.beside(".sleeps")).unwrap_or_default()
}
