//! STATE_VM: what OpenNebula must hear of, however long it is away.

use super::at_work::is_at_work;
use super::back_off::BackOff;
use super::client::Client;
use super::consoles;
use super::imported::Imported;
use super::kind::Kind;
use super::powered_off::{self, WriteBacks};
use super::round;
use super::status::Memory;
use crate::console::Keeper;
use crate::one::Release;
use crate::probe::vm_status::{self, Status};
use crate::report::Result;
use crate::xe::Uuid;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What others' probes said is kept for so long a text; ours is asked anew.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// While onemonitord is away, XAPI is asked less and less often, but at least so. Each period it is tried whether
/// onemonitord is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is still to be told, and when.
struct Round {
    memory: Memory,
    imported: Imported,
    consoles: Keeper,
    write_backs: WriteBacks,
    next_sync: Instant,
    back_off: BackOff,
    failing: bool,
}

pub fn run(client: &Client) {
    let saved = client.files.read("vms").ok().flatten().unwrap_or_default();
    let period = Kind::StateVm.period(&client.periods);
    let mut round = Round {
        memory: Memory::load(&saved),
        imported: Imported::new(Release::beside(&client.host.called_as).as_ref()),
        consoles: Keeper::default(),
        write_backs: WriteBacks::default(),
        next_sync: Instant::now() + sync_period(client),
        back_off: BackOff::new(client.cadence.scaled(period), client.cadence.scaled(LONGEST_PAUSE)),
        failing: false,
    };
    while client.cadence.rest(period) {
        if !round.back_off.may_try(Instant::now()) && !client.sender.is_heard() {
            continue;
        }
        match round.observe(client) {
            Ok(()) => {
                client.log.well(Kind::StateVm.name());
                round.tell(client);
                round.failing = false;
            }
            Err(why) => {
                client.failed(Kind::StateVm, &why, !round.failing);
                round.failing = true;
            }
        }
    }
}

/// Runs the administrator's probes, beside [`run`]: one that hangs must not hold up what becomes of a VM.
pub fn run_others(client: &Client) {
    while client.cadence.rest(Kind::StateVm.period(&client.periods)) {
        let said = round::of_others(&client.host, Kind::StateVm, &client.log);
        let mut kept = client.others_states.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + said.len() <= MAX_KEPT_BYTES {
            kept.push_str(&said);
        }
    }
}

fn sync_period(client: &Client) -> Duration {
    client.cadence.scaled(Duration::from_secs(client.periods.sync_state_vm))
}

impl Round {
    fn observe(&mut self, client: &Client) -> Result<()> {
        let (host, seen) = (client.host.uuid()?, vm_status::seen(&client.host.xe)?);
        let pause = client.cadence.scaled(powered_off::PAUSE);
        let (memory, log) = (&self.memory, &client.log);
        let is_due = |vm: &Status| memory.is_on(vm) && !is_at_work(&vm.deploy_id);
        self.write_backs.follow(&client.host, &seen.ours, is_due, pause, log);
        let is_held = |vm: &Uuid| self.write_backs.holds(vm) || is_at_work(vm);
        self.memory.observe(&host, &seen.ours, is_held);
        self.imported.observe(&host, &seen.wild);
        consoles::keep(&client.host, &mut self.consoles, &host, &seen.ours, &client.log);
        Ok(())
    }

    /// Sends what has changed; all when it is time for that, when onemonitord was away, and when the round before has
    /// failed: OpenNebula may have taken the host for failed and its VMs for UNKNOWN.
    fn tell(&mut self, client: &Client) {
        let was_reachable = client.reachable.load(Ordering::Relaxed);
        let whole = !was_reachable || self.failing || Instant::now() >= self.next_sync;
        let states = if whole {
            self.memory.all() + &self.imported.all()
        } else {
            self.memory.changes() + &self.imported.changes()
        };
        let of_others = client.others_states.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = states + &of_others;
        if text.is_empty() {
            return;
        }
        match client.sender.send(Kind::StateVm, true, &text) {
            Ok(()) => {
                client.log.well("onemonitord");
                self.arrived(client, whole);
                let mut kept = client.others_states.lock().unwrap_or_else(PoisonError::into_inner);
                kept.drain(..of_others.len());
                drop(kept);
                self.back_off.arrived();
                client.reachable.store(true, Ordering::Relaxed);
                if !was_reachable {
                    client.cadence.ask_system();
                }
            }
            Err(why) => {
                client.log.say("onemonitord", &format!("{why:#}"));
                client.reachable.store(false, Ordering::Relaxed);
                self.back_off.failed(Instant::now());
            }
        }
    }

    fn arrived(&mut self, client: &Client, whole: bool) {
        self.memory.told();
        self.imported.told();
        if whole {
            self.next_sync = Instant::now() + sync_period(client);
        }
        if let Err(why) = client.files.write("vms", &self.memory.save()) {
            client.log.say("files", &format!("{why:#}"));
        }
    }
}
