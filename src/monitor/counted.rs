//! What was counted of one VM on this machine, for who asks about it alone: there is no asking XAPI for it, which
//! only measures rates.

use super::files::Files;
use crate::probe::counters::COUNTED;
use crate::probe::{Counters, unix_time};
use crate::xe::Uuid;

/// What was counted longer ago says nothing of now, in seconds.
const FRESH_SECONDS: u64 = 600;

/// A VM's counters under OpenNebula's names, from whatever host's round has counted it last.
pub fn of_vm(vm: &Uuid) -> Vec<(&'static str, u64)> {
    let oldest = unix_time().saturating_sub(FRESH_SECONDS);
    let read = |host_id| Some(Counters::load(&Files::of_host(host_id).ok()?.read("counters").ok()??));
    let all = Files::host_ids("counters").into_iter().filter_map(read);
    let newest = all
        .filter(|counters| counters.last_time_of(vm).is_some_and(|time| time >= oldest))
        .max_by_key(|counters| counters.last_time_of(vm));
    let Some(counters) = newest else { return Vec::new() };
    COUNTED.iter().filter_map(|(figure, name)| Some((*name, counters.count(vm, *figure)?))).collect()
}
