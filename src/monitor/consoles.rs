//! The consoles of the host's VMs, kept listening as their marks say: a relay that died starts again, a VM that
//! came from another host gets its own, and one that ended by itself leaves none.

use super::host::Host;
use super::log::Log;
use crate::console::{Keeper, Running};
use crate::probe::vm_status::Status;
use crate::translate::vm_state::State;
use crate::xe::Uuid;

/// Goes through what the pool shows. What goes wrong is logged.
pub fn keep(host: &Host, keeper: &mut Keeper, uuid: &Uuid, seen: &[Status], log: &Log) {
    let Some(key) = &host.console_key else { return };
    let runs_here = |vm: &&Status| vm.state == Some(State::Running) && vm.resident_on.as_ref() == Some(uuid);
    let running = |vm: &Status| {
        let mark = vm.console.as_ref()?.parse().ok()?;
        Some(Running { vm_id: vm.vm_id, vm: vm.deploy_id.clone(), mark })
    };
    let running: Vec<Running> = seen.iter().filter(runs_here).filter_map(running).collect();
    match keeper.keep(&host.called_as, key, &host.name, &running) {
        Ok(()) => log.well("console"),
        Err(why) => log.say("console", &format!("{why:#}")),
    }
}
