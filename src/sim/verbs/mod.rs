//! The verbs that do something, one table for each kind of object.

mod cloning;
mod disc;
pub mod host;
mod install;
mod machine;
mod memory;
mod migrate;
mod migrate_away;
mod network;
mod plugin;
mod power;
mod provision;
mod snapshot;
mod sr;
mod storage_motion;
mod suspend;
pub mod task;
mod uninstall;
mod vbd;
mod vdi;
mod vif;
mod vm_cd;
mod vm_disk;
mod vtpm;

pub use machine::{begin, end, run_at_once};
pub use vif::made_mac;

use super::call::{self, Call, Verb};
use super::print::Record;

/// Every verb but those that each class has.
pub fn all() -> impl Iterator<Item = &'static Verb> {
    let tables: [&'static [Verb]; 18] = [
        host::VERBS,
        install::VERBS,
        memory::VERBS,
        migrate::VERBS,
        network::VERBS,
        plugin::VERBS,
        power::VERBS,
        snapshot::VERBS,
        sr::VERBS,
        suspend::VERBS,
        task::VERBS,
        uninstall::VERBS,
        vbd::VERBS,
        vdi::VERBS,
        vif::VERBS,
        vm_cd::VERBS,
        vm_disk::VERBS,
        vtpm::VERBS,
    ];
    tables.into_iter().flatten()
}

/// `help`: the parameters of a verb, or which verbs there are.
pub fn help(call: &mut Call) {
    let general = ["server", "username", "password", "port", "minimal", "all", "trace"];
    let asked = call.command.params.iter().map(|(key, _)| key.clone());
    let asked: Vec<String> = asked.filter(|key| !general.contains(&key.as_str())).collect();
    if asked.is_empty() {
        call.out
            .remark("Usage: xe <command> [-s server] [-pw passwd] [-p port] [-u user] [-pwf password-file]");
        call.out.remark("  [command specific arguments]\n\nFull command list\n-----------------");
        call.out.list(&call::names());
        return;
    }
    for name in asked {
        match call::find(&name) {
            None => call.out.list(&[format!("Unknown command '{name}'")]),
            Some(called) => {
                let (required, optional) = called.parameters();
                let record: Record = vec![
                    ("command name        ".into(), name),
                    ("reqd params     ".into(), required),
                    ("optional params ".into(), optional),
                ];
                call.out.table(&[record]);
            }
        }
    }
}
