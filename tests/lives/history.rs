//! A history: steps that a seed gives, done again as often as one wants, and made shorter until only what matters
//! is left.

use crate::disk::SIZE_BYTES;
use crate::faults::{self, Fault};
use crate::guest;
use crate::model::{Operation, State, World};
use crate::oracle::{self, Foreign};
use crate::pool::{Pool, power_state};
use crate::random::Random;
use std::fmt::Write as _;
use std::fs;

/// How many VMs live side by side.
const SLOTS: usize = 2;

#[derive(Clone, Debug)]
pub struct Step {
    pub slot: usize,
    pub operation: Operation,
    pub faults: Vec<Fault>,
}

/// A history that went wrong, and at which step.
pub struct Failure {
    pub steps: Vec<Step>,
    pub why: String,
    /// What each step said, and the calls of the last one.
    pub told: String,
}

/// A world, and what has been told of it.
struct Run {
    world: World,
    foreign: Foreign,
    told: String,
    words: u64,
}

impl Run {
    fn new() -> Run {
        let world = World::new(SLOTS);
        let foreign = Foreign::of(&world);
        Run { world, foreign, told: String::new(), words: 0 }
    }

    /// Does one step; says what is wrong afterwards.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let Step { slot, operation, .. } = *step;
        let vm_id = self.world.slots[slot].vm_id;
        _ = write!(self.told, "VM {vm_id} {operation:?}");
        for fault in &step.faults {
            fault.set(&self.world.host);
            _ = write!(self.told, " [{}]", fault.line());
        }
        let ran = self.world.running(slot).is_some_and(|uuid| uuid == self.world.slots[slot].deploy_id);
        match operation {
            Operation::GuestWrites { disk, at, word } => guest::writes(&mut self.world, slot, disk, at, word),
            Operation::GuestPowersOff => guest::powers_off(&self.world, slot),
            Operation::Monitor => self.monitors(step)?,
            _ => {}
        }
        _ = fs::remove_file(self.world.host.path("pool.log"));
        let must = step.faults.is_empty() && oracle::must_succeed(&self.world, slot, operation, ran);
        let said = self.world.run(slot, operation);
        _ = fs::remove_file(self.world.host.path("pool.faults"));
        _ = writeln!(self.told, ": {}", said.as_ref().map_or(String::new(), oracle::brief));
        if let Some(said) = &said {
            let code = said.code;
            if must && code != Some(0) {
                return Err(format!("stuck: {operation:?} of VM {vm_id} fails without a fault"));
            }
            if said.stderr.contains("panicked") {
                return Err("the driver panicked".to_owned());
            }
            if code == Some(0) {
                oracle::check_success(&self.world, slot, operation)?;
            }
        }
        // A guest that runs writes.
        if said.is_some_and(|said| said.code == Some(0)) && self.world.running(slot).is_some() {
            for disk in 0..self.world.slots[slot].disks.len() {
                self.words += 1;
                let at = usize::try_from(self.words * 512).unwrap() % SIZE_BYTES;
                guest::writes(&mut self.world, slot, disk, at, 0xbeef_0000_0000 | self.words);
            }
        }
        oracle::check(&self.world, &self.foreign)
    }

    /// A guest that powers itself off has its persistent disks in their files when OpenNebula hears of it.
    fn monitors(&mut self, step: &Step) -> Result<(), String> {
        let Some(said) = self.world.monitor(step.slot) else { return Ok(()) };
        _ = write!(self.told, " {}", oracle::brief(&said));
        if said.stderr.contains("panicked") {
            return Err("the driver panicked".to_owned());
        }
        if said.code != Some(0) && step.faults.is_empty() {
            return Err("stuck: a disk is not written back, without a fault".to_owned());
        }
        if said.code == Some(0) && !self.world.persistent_files_are_newest(step.slot) {
            return Err("off, and a persistent disk's file is not what the guest wrote".to_owned());
        }
        Ok(())
    }

    /// All VMs are terminated and leftovers cleared: the pool is as it was.
    fn end(&mut self) -> Result<(), String> {
        for slot in 0..SLOTS {
            self.monitors(&Step { slot, operation: Operation::Monitor, faults: Vec::new() })?;
            let state = self.world.slots[slot].state;
            let hard = Operation::Terminate { hard: true };
            let last = match state {
                State::Running => Some(hard),
                State::Pending => None,
                _ if self.world.allows(slot, hard) => Some(hard),
                _ => Some(Operation::Delete),
            };
            if let Some(operation) = last {
                self.step(&Step { slot, operation, faults: Vec::new() })?;
            }
        }
        oracle::nothing_is_left(&self.world, &self.foreign)
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.world.host.path("pool.log")).unwrap_or_default()
    }

    /// OpenNebula's VMs and their VDIs, for whoever looks for the cause.
    fn pool(&self) -> String {
        let pool = Pool::read(&self.world.host);
        let mut text = String::new();
        for row in pool.of_class("VM").filter(|row| !row.get("other-config:one_vm_id").is_empty()) {
            _ = writeln!(text, "VM {} {} {}", row.uuid, row.get("name-label"), power_state(row));
        }
        for row in pool.of_class("VDI").filter(|row| row.get("name-label").starts_with("one-")) {
            _ = writeln!(text, "VDI {} {} tags {}", row.uuid, row.get("name-label"), tags(row));
        }
        text
    }

    fn failure(&self, steps: &[Step], why: String) -> Failure {
        let told = format!("{}{}{}", self.told, self.calls(), self.pool());
        Failure { steps: steps.to_vec(), why, told }
    }
}

fn tags(row: &crate::pool::Row) -> String {
    let tags = row.fields.keys().filter_map(|name| name.strip_prefix("tags:"));
    tags.collect::<Vec<_>>().join(" ")
}

/// Lives a seed's history. Gives back how many steps it had.
///
/// With `shows` each step is printed.
pub fn live(seed: u64, count: usize, shows: bool) -> Result<usize, Failure> {
    let mut random = Random::new(seed);
    let mut run = Run::new();
    let mut steps = Vec::new();
    for _ in 0..count {
        let step = choose(&run.world, &mut random, &mut run.words);
        steps.push(step.clone());
        let done = run.step(&step);
        if shows {
            eprint!("{}", run.told.lines().last().map_or(String::new(), |line| format!("{line}\n")));
        }
        if let Err(why) = done {
            return Err(run.failure(&steps, why));
        }
    }
    run.end().map(|()| count).map_err(|why| run.failure(&steps, why))
}

/// Lives these steps, leaving out what OpenNebula does not allow then.
fn again(steps: &[Step]) -> Result<(), Failure> {
    let mut run = Run::new();
    for (index, step) in steps.iter().enumerate() {
        if !run.world.allows(step.slot, step.operation) {
            continue;
        }
        if let Err(why) = run.step(step) {
            return Err(run.failure(&steps[..=index], why));
        }
    }
    run.end().map_err(|why| run.failure(steps, why))
}

/// The shortest history found that goes wrong in the same way: steps are left out, then faults.
pub fn shortened(failure: Failure) -> Failure {
    let kind = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
    let wanted = kind(&failure.why);
    let mut best = failure;
    let mut tries = 0;
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 && tries < 120 {
        let mut start = 0;
        while start < best.steps.len() && tries < 120 {
            let mut fewer = best.steps.clone();
            fewer.drain(start..(start + size).min(fewer.len()));
            tries += 1;
            match again(&fewer) {
                Err(shorter) if kind(&shorter.why) == wanted => best = shorter,
                _ => start += size,
            }
        }
        size /= 2;
    }
    for index in 0..best.steps.len() {
        for fault in (0..best.steps.get(index).map_or(0, |step| step.faults.len())).rev() {
            let mut fewer = best.steps.clone();
            fewer[index].faults.remove(fault);
            if let Err(shorter) = again(&fewer)
                && kind(&shorter.why) == wanted
            {
                best = shorter;
            }
        }
    }
    best
}

/// The next step, of those that are allowed.
fn choose(world: &World, random: &mut Random, words: &mut u64) -> Step {
    let slot = random.below(SLOTS);
    *words += 1;
    let write = Operation::GuestWrites {
        disk: random.below(world.slots[slot].disks.len()),
        at: random.below(SIZE_BYTES / 512) * 512,
        word: 0xdada_0000_0000 | *words,
    };
    let hard = random.percent(50);
    let all = [
        (3, write),
        (6, Operation::GuestPowersOff),
        (3, Operation::Monitor),
        (12, Operation::Deploy),
        (8, Operation::PowerOff { hard }),
        (1, Operation::Terminate { hard }),
        (3, Operation::Suspend),
        (8, Operation::Resume),
        (1, Operation::Reboot { hard }),
        (1, Operation::Delete),
        (3, Operation::Attach),
        (4, Operation::Detach),
        (2, Operation::Migrate),
        (2, Operation::Snapshot),
        (2, Operation::Revert),
        (2, Operation::SnapshotDelete),
    ];
    let allowed: Vec<_> = all.into_iter().filter(|(_, operation)| world.allows(slot, *operation)).collect();
    let operation = random.weighted(&allowed);
    let calls_scripts = !matches!(operation, Operation::GuestWrites { .. } | Operation::GuestPowersOff);
    let faults = if calls_scripts { faults::random(operation, random) } else { Vec::new() };
    Step { slot, operation, faults }
}
