//! What a VM's power state and the operations going on in XAPI mean to OpenNebula: the whole mapping, in one
//! table.

use crate::xe::PowerState;

/// A VM's state in the words of OpenNebula's monitoring. FAILURE and UNKNOWN are never said: XAPI has no such
/// power state, and OpenNebula would give the VM up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Poweroff,
    Suspended,
}

impl State {
    pub const ALL: [State; 3] = [State::Running, State::Poweroff, State::Suspended];

    /// As `vm/status` says it.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "RUNNING",
            State::Poweroff => "POWEROFF",
            State::Suspended => "SUSPENDED",
        }
    }

    /// As `poll` and the probes of OpenNebula up to 5.10 say it: a(ctive), p(aused), d(isappeared or off).
    pub fn letter(self) -> char {
        match self {
            State::Running => 'a',
            State::Poweroff => 'd',
            State::Suspended => 'p',
        }
    }
}

/// Running, suspended, powered off; on its way from one to another, and so as it was.
const R: Option<State> = Some(State::Running);
const S: Option<State> = Some(State::Suspended);
const O: Option<State> = Some(State::Poweroff);
const W: Option<State> = None;

/// What a VM is while an operation goes on (xapi record_util.ml:31), if it is running, paused, suspended or
/// halted. A running one runs until it does not, whatever is being done to it. Whoever exports or copies a
/// halted VM may take hours over it: it is off all that time.
type Row = (&'static str, [Option<State>; 4]);

#[rustfmt::skip]
const TABLE: [Row; 47] = [
    // Nothing goes on.
    ("",                            [R, S, S, O]),
    // XAPI builds it paused.
    ("start",                       [R, W, W, W]),
    ("start_on",                    [R, W, W, W]),
    ("resume",                      [R, W, W, W]),
    ("resume_on",                   [R, W, W, W]),
    ("unpause",                     [R, W, W, W]),
    ("import",                      [R, W, W, W]),
    // The last moment of them.
    ("pause",                       [R, S, W, W]),
    ("suspend",                     [R, W, S, W]),
    ("clean_shutdown",              [R, W, W, W]),
    ("hard_shutdown",               [R, W, W, W]),
    ("shutdown",                    [R, W, W, W]),
    ("power_state_reset",           [R, W, W, W]),
    ("destroy",                     [R, W, W, W]),
    // It will run again.
    ("clean_reboot",                [R, W, W, W]),
    ("hard_reboot",                 [R, W, W, W]),
    ("checkpoint",                  [R, W, W, W]),
    ("revert",                      [R, W, W, W]),
    ("reverting",                   [R, W, W, W]),
    // Halted is what is left of it when it runs in another pool already.
    ("pool_migrate",                [R, W, W, W]),
    ("migrate_send",                [R, W, W, W]),
    // It stays what it is.
    ("assertoperationvalid",        [R, S, S, O]),
    ("awaiting_memory_live",        [R, S, S, O]),
    ("call_plugin",                 [R, S, S, O]),
    ("changing_NVRAM",              [R, S, S, O]),
    ("changing_VCPUs_live",         [R, S, S, O]),
    ("changing_dynamic_range",      [R, S, S, O]),
    ("changing_memory_live",        [R, S, S, O]),
    ("changing_shadow_memory",      [R, S, S, O]),
    ("changing_shadow_memory_live", [R, S, S, O]),
    ("changing_static_range",       [R, S, S, O]),
    ("clone",                       [R, S, S, O]),
    ("copy",                        [R, S, S, O]),
    ("create_vtpm",                 [R, S, S, O]),
    ("csvm",                        [R, S, S, O]),
    ("data_sources_op",             [R, S, S, O]),
    ("export",                      [R, S, S, O]),
    ("get_boot_record",             [R, S, S, O]),
    ("make_into_template",          [R, S, S, O]),
    ("metadata_export",             [R, S, S, O]),
    ("provision",                   [R, S, S, O]),
    ("send_sysrq",                  [R, S, S, O]),
    ("send_trigger",                [R, S, S, O]),
    ("snapshot",                    [R, S, S, O]),
    ("snapshot_with_quiesce",       [R, S, S, O]),
    ("update_allowed_operations",   [R, S, S, O]),
    // Whatever a later XAPI brings.
    (UNKNOWN,                       [R, W, W, W]),
];

const UNKNOWN: &str = "(unknown operation)";

/// OpenNebula's word for a VM's state; none while it is on the way from one to another. Of several operations
/// the one that changes most counts.
pub fn state<'a>(power_state: PowerState, operations: impl Iterator<Item = &'a str>) -> Option<State> {
    operations.fold(under("", power_state), |state, operation| state.and(under(operation, power_state)))
}

fn under(operation: &str, power_state: PowerState) -> Option<State> {
    let named = |name: &str| TABLE.iter().find(|(of, _)| *of == name);
    let (_, [running, paused, suspended, halted]) = named(operation).or_else(|| named(UNKNOWN))?;
    match power_state {
        PowerState::Running => *running,
        PowerState::Paused => *paused,
        PowerState::Suspended => *suspended,
        PowerState::Halted => *halted,
    }
}

/// Whether it is being moved to another host, or another pool.
pub fn is_migrating<'a>(mut operations: impl Iterator<Item = &'a str>) -> bool {
    operations.any(|operation| ["pool_migrate", "migrate_send"].contains(&operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const POWER_STATES: [PowerState; 4] =
        [PowerState::Running, PowerState::Paused, PowerState::Suspended, PowerState::Halted];

    /// The states of a VM under these operations, in the order of the table's columns.
    fn states(operations: &[&str]) -> [Option<State>; 4] {
        POWER_STATES.map(|power_state| state(power_state, operations.iter().copied()))
    }

    /// What stays as it is, by the meaning of each operation; all others are on their way somewhere.
    const CHANGE_NOTHING: &str = "assertoperationvalid awaiting_memory_live call_plugin changing_NVRAM \
        changing_VCPUs_live changing_dynamic_range changing_memory_live changing_shadow_memory \
        changing_shadow_memory_live changing_static_range clone copy create_vtpm csvm data_sources_op export \
        get_boot_record make_into_template metadata_export provision send_sysrq send_trigger snapshot \
        snapshot_with_quiesce update_allowed_operations";

    #[test]
    fn every_row_says_what_its_operation_does() {
        for (operation, _) in TABLE {
            let expected = match operation {
                "pause" => [R, S, W, W],
                "suspend" => [R, W, S, W],
                _ if operation.is_empty() || CHANGE_NOTHING.split(' ').any(|name| name == operation) => {
                    [R, S, S, O]
                }
                _ => [R, W, W, W],
            };
            assert_eq!(states(&[operation]), expected, "{operation}");
        }
        let names: HashSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn nothing_going_on_is_what_the_power_state_says() {
        assert_eq!(states(&[]), [R, S, S, O]);
    }

    #[test]
    fn a_running_vm_runs_and_an_unknown_operation_changes_no_state() {
        assert_eq!(states(&["brought_by_a_later_xapi"]), [R, W, W, W]);
        assert_eq!(states(&["snapshot", "start"]), [R, W, W, W]);
        assert_eq!(states(&["snapshot", "export"]), [R, S, S, O]);
    }
}
