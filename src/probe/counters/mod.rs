//! Counters that only grow, made of the rates that XAPI measures.

mod saved;

use crate::xe::Uuid;
use std::collections::HashMap;

/// What is measured of a host or a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The share of one of its CPUs that is in use.
    Cpu,
    NetRx,
    NetTx,
    DiskRdBytes,
    DiskWrBytes,
    DiskRdIops,
    DiskWrIops,
}

/// Those that are counted, under OpenNebula's names.
pub const COUNTED: [(Figure, &str); 6] = [
    (Figure::NetRx, "NETRX"),
    (Figure::NetTx, "NETTX"),
    (Figure::DiskRdBytes, "DISKRDBYTES"),
    (Figure::DiskWrBytes, "DISKWRBYTES"),
    (Figure::DiskRdIops, "DISKRDIOPS"),
    (Figure::DiskWrIops, "DISKWRIOPS"),
];

/// Who was not measured for so long is forgotten: a VM that is gone, or on another host for good.
const FORGOTTEN_SECONDS: u64 = 3600;

/// A terabyte a second, which no device reaches: more is no measurement.
const MOST_PER_SECOND: f64 = 1e12;
/// Two whole CPUs' time of one CPU: what is measured is a little off where the time between is short.
const MOST_OF_A_CPU: f64 = 2.0;
/// What OpenNebula can read of a counter, and what one second adds to is still seen.
const MOST_COUNTED: f64 = 9e15;

/// What was measured so far of the host and each of its VMs.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// When the newest of it was measured, in seconds since 1970; 0: nothing yet.
    last_time: u64,
    /// By how many seconds the clock it is measured by is ahead of ours.
    ahead: u64,
    owners: HashMap<Uuid, Owner>,
}

#[derive(Clone, Debug, Default)]
struct Owner {
    counts: [Option<f64>; COUNTED.len()],
    /// The counts when the round began.
    before: [Option<f64>; COUNTED.len()],
    /// In the last round: seconds of CPU used, and seconds measured.
    cpu_seconds: f64,
    seconds: f64,
    /// The newest measurement.
    last_time: u64,
}

impl Counters {
    pub fn last_time(&self) -> u64 {
        self.last_time
    }

    /// What the clock that it is measured by shows when ours shows `now`: from the front-end it is another machine's.
    pub fn clock_there(&self, now: u64) -> u64 {
        now.saturating_add(self.ahead)
    }

    /// The newest measurement has come when our clock showed `now`.
    pub fn compare_clocks(&mut self, now: u64) {
        self.ahead = self.last_time.saturating_sub(now);
    }

    /// When an owner was measured last; none if it never was.
    pub fn last_time_of(&self, owner: &Uuid) -> Option<u64> {
        Some(self.owners.get(owner)?.last_time)
    }

    /// Begins a round of what was measured after `start`.
    pub fn begin(&mut self, start: u64) {
        self.last_time = start;
        for owner in self.owners.values_mut() {
            owner.before = owner.counts;
            (owner.cpu_seconds, owner.seconds) = (0.0, 0.0);
        }
    }

    /// Ends it.
    pub fn end(&mut self) {
        let newest = self.last_time;
        self.owners.retain(|_, owner| {
            owner.last_time = owner.last_time.min(newest);
            newest - owner.last_time < FORGOTTEN_SECONDS
        });
    }

    /// Adds a rate that held for `step` seconds until `time`. What is no rate (NaN: not measured; below 0, or more than
    /// there can be) is left out.
    pub fn add(&mut self, owner: &Uuid, figure: Figure, rate: f64, time: u64, step: f64) {
        self.last_time = self.last_time.max(time);
        let most = if figure == Figure::Cpu { MOST_OF_A_CPU } else { MOST_PER_SECOND };
        if !(0.0..=most).contains(&rate) {
            return;
        }
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.clone(), Owner::default());
        }
        let Some(owner) = self.owners.get_mut(owner) else { return };
        // There are several figures for one time: of each VIF, disk and CPU.
        if owner.last_time != time {
            owner.last_time = time;
            owner.seconds += step;
        }
        if let Some(count) = place(figure).and_then(|place| owner.counts.get_mut(place)) {
            *count = Some((count.unwrap_or(0.0) + rate * step).min(MOST_COUNTED));
            return;
        }
        owner.cpu_seconds += rate * step;
    }

    /// A counter's value; none if it was never measured.
    pub fn count(&self, owner: &Uuid, figure: Figure) -> Option<u64> {
        let count = *self.owners.get(owner)?.counts.get(place(figure)?)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and not below 0")]
        count.map(|count| count as u64)
    }

    /// How fast a counter grew in the last round, per second.
    pub fn per_second(&self, owner: &Uuid, figure: Figure) -> Option<f64> {
        let (owner, place) = (self.owners.get(owner)?, place(figure)?);
        let (now, before) = ((*owner.counts.get(place)?)?, owner.before.get(place)?.unwrap_or(0.0));
        (owner.seconds > 0.0).then(|| (now - before) / owner.seconds)
    }

    /// How much of a CPU was in use in the last round, in percent; of two whole CPUs 200.
    pub fn cpu_percent(&self, owner: &Uuid) -> Option<f64> {
        let owner = self.owners.get(owner)?;
        (owner.seconds > 0.0).then(|| 100.0 * owner.cpu_seconds / owner.seconds)
    }
}

fn place(figure: Figure) -> Option<usize> {
    COUNTED.iter().position(|(counted, _)| *counted == figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid() -> Uuid {
        "11111111-2222-4333-8444-555555555555".parse().unwrap()
    }

    #[test]
    fn the_next_client_counts_on() {
        let mut counters = Counters::default();
        counters.begin(1000);
        counters.add(&uuid(), Figure::NetTx, 10.5, 1005, 5.0);
        counters.add(&uuid(), Figure::NetTx, f64::NAN, 1010, 5.0);
        counters.add(&uuid(), Figure::NetTx, -3.0, 1010, 5.0);
        counters.end();
        let mut counters = Counters::load(&counters.save());
        assert_eq!((counters.last_time(), counters.count(&uuid(), Figure::NetTx)), (1010, Some(52)));
        counters.begin(1010);
        counters.add(&uuid(), Figure::NetTx, 0.2, 1015, 5.0);
        assert_eq!(counters.count(&uuid(), Figure::NetTx), Some(53));
        assert_eq!(counters.per_second(&uuid(), Figure::NetTx), Some(0.2));
        assert_eq!(counters.per_second(&uuid(), Figure::NetRx), None);
        assert_eq!(counters.count(&uuid(), Figure::NetRx), None);
        assert_eq!(counters.cpu_percent(&uuid()), Some(0.0));
    }

    #[test]
    fn what_cannot_be_is_not_counted() {
        let mut counters = Counters::default();
        counters.begin(1000);
        for rate in [1e308, f64::MAX, 1e13, f64::INFINITY, f64::NAN, -0.5] {
            counters.add(&uuid(), Figure::NetRx, rate, 1005, 5.0);
            counters.add(&uuid(), Figure::Cpu, rate, 1005, 5.0);
        }
        counters.add(&uuid(), Figure::NetRx, 100.0, 1005, 5.0);
        counters.add(&uuid(), Figure::Cpu, 0.5, 1005, 5.0);
        assert_eq!(counters.count(&uuid(), Figure::NetRx), Some(500));
        assert_eq!(counters.cpu_percent(&uuid()), Some(50.0));
        // A CPU that was plugged in has no measurement at first, and then its own.
        counters.begin(1005);
        counters.add(&uuid(), Figure::Cpu, 1.0, 1010, 5.0);
        counters.add(&uuid(), Figure::Cpu, f64::NAN, 1010, 5.0);
        counters.add(&uuid(), Figure::Cpu, 1.0, 1015, 5.0);
        counters.add(&uuid(), Figure::Cpu, 1.0, 1015, 5.0);
        assert_eq!(counters.cpu_percent(&uuid()), Some(150.0));
        for _ in 0..10_000 {
            counters.add(&uuid(), Figure::DiskWrBytes, 1e12, 1020, 5.0);
        }
        assert_eq!(counters.count(&uuid(), Figure::DiskWrBytes), Some(9_000_000_000_000_000));
        let saved = format!("1000\n{} 1000 1e300 inf -1 NaN - 7\n", uuid());
        let loaded = Counters::load(&saved);
        let counts = COUNTED.map(|(figure, _)| loaded.count(&uuid(), figure));
        assert_eq!(counts, [None, None, None, None, None, Some(7)]);
    }

    #[test]
    fn who_is_gone_for_long_is_forgotten() {
        let other: Uuid = "21111111-2222-4333-8444-555555555555".parse().unwrap();
        let mut counters = Counters::default();
        counters.add(&uuid(), Figure::NetTx, 1.0, 1000, 5.0);
        counters.add(&other, Figure::NetTx, 1.0, 5000, 5.0);
        counters.end();
        assert_eq!((counters.count(&uuid(), Figure::NetTx), counters.owners.len()), (None, 1));
        assert_eq!(Counters::load("x\n\n1 2 3\n").owners.len(), 0);
    }
}
