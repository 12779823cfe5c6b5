//! How much CPU VMs use where XAPI's measurements of all of them cannot be had: each is asked by itself.

use super::unix_time;
use crate::parallel;
use crate::xe::{Uuid, Xe, vm};
use std::collections::HashMap;

/// A call for each costs XAPI 50 to 150 ms, and so does the next round's.
pub const MOST_A_ROUND: usize = 32;

/// Who is asked next, if there are more than are asked in a round.
#[derive(Debug, Default)]
pub struct CpuAsked {
    next: Option<usize>,
}

impl CpuAsked {
    /// The next of these VMs, in percent of one CPU. One that does not tell (it has ended meanwhile) is left out.
    pub fn ask(&mut self, xe: &Xe, vms: &[Uuid]) -> HashMap<Uuid, f64> {
        if vms.is_empty() {
            return HashMap::new();
        }
        let start = self.next.unwrap_or_else(by_clock) % vms.len();
        let turn: Vec<&Uuid> = vms.iter().cycle().skip(start).take(MOST_A_ROUND.min(vms.len())).collect();
        self.next = Some(start + turn.len());
        let percent = parallel::map(&turn, |vm| vm::cpu_percent(xe, vm).ok());
        let told = turn.into_iter().zip(percent);
        told.filter_map(|(vm, percent)| Some((vm.clone(), percent.filter(|p| p.is_finite())?))).collect()
    }
}

/// Where a program begins that asks only once, so that not always the same VMs are asked.
fn by_clock() -> usize {
    usize::try_from(unix_time() / 60).unwrap_or(0).wrapping_mul(MOST_A_ROUND)
}
