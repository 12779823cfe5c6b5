//! XAPI's database, as it was written to disk last: XAPI writes it at most every five minutes, when it ends in order, and at
//! `pool-sync-database` (xapi db_cache_impl.ml). Killed, it goes back to that. SRs and guests do not go back with it.

use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, Row};
use crate::sim::storage::LOST;
use crate::sim::store::Store;
use crate::sim::verbs::{end, run_at_once};
use anyhow::{Context, Result, anyhow};

/// What was written last, beside the state.
const WRITTEN: &str = ".written";

/// Writes the database.
pub fn write(store: &Store) -> Result<()> {
    store.alone(|| {
        let file = store.beside(WRITTEN);
        std::fs::copy(store.path(), &file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    })
}

/// XAPI is killed, and starts again with what was written last.
pub fn forget(store: &Store) -> Result<()> {
    let written = store.beside(WRITTEN);
    let text = std::fs::read_to_string(&written)
        .with_context(|| format!("nothing was written (sim sync): cannot read {}", written.display()))?;
    store.go_back(text, |before, now| {
        restart(before, now).map_err(|fail| anyhow!("{}", fail.said(true).stderr))
    })
}

/// What XAPI finds as it starts: domains that it has no record of are destroyed, others run on; a VM that has no domain
/// is halted (xapi_xenops.ml `resync_resident_on`). A VDI that was destroyed since is a record without a volume.
fn restart(before: &Pool, now: &mut Pool) -> Outcome<()> {
    now.counter = before.counter;
    now.clock = before.clock;
    let runs = |row: &Row| !row.get("resident-on").is_empty();
    let vms: Vec<String> = now.rows(Class::Vm).iter().map(|vm| vm.uuid.to_string()).collect();
    for vm in vms {
        let then = before.find(Class::Vm, &vm).filter(|row| runs(row));
        let is_running = now.find(Class::Vm, &vm).is_some_and(runs);
        match then.map(|row| row.get("resident-on").to_owned()) {
            Some(host) if !is_running => run_at_once(now, &vm, &host)?,
            Some(host) => now.set(Class::Vm, &vm, "resident-on", &host)?,
            None if is_running => end(now, &vm, "halted")?,
            None => {}
        }
    }
    let lost: Vec<String> = now
        .rows(Class::Vdi)
        .iter()
        .filter(|vdi| before.find(Class::Vdi, &vdi.uuid).is_none_or(|then| then.is(LOST)))
        .map(|vdi| vdi.uuid.to_string())
        .collect();
    for vdi in lost {
        now.set(Class::Vdi, &vdi, LOST, "true")?;
    }
    Ok(())
}
