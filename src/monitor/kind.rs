//! The kinds of message that onemonitord takes, and where the probes of each are.

use crate::one::monitor_configuration::ProbesPeriod;
use std::time::Duration;

/// What a message tells about (MonitorDriverMessages.h of OpenNebula).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SystemHost,
    MonitorHost,
    BeaconHost,
    StateVm,
    ExecVm,
    MonitorVm,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::SystemHost, Kind::MonitorHost, Kind::BeaconHost, Kind::StateVm, Kind::ExecVm, Kind::MonitorVm];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SystemHost => "SYSTEM_HOST",
            Kind::MonitorHost => "MONITOR_HOST",
            Kind::BeaconHost => "BEACON_HOST",
            Kind::StateVm => "STATE_VM",
            Kind::ExecVm => "EXEC_VM",
            Kind::MonitorVm => "MONITOR_VM",
        }
    }

    /// The folders of its probes, below `im/xcp-probes.d`.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Kind::SystemHost => &["host/system"],
            Kind::MonitorHost => &["host/monitor"],
            Kind::BeaconHost => &["host/beacon"],
            Kind::StateVm => &["vm/status"],
            Kind::ExecVm => &["vm/execution"],
            Kind::MonitorVm => &["vm/monitor", "vm/snapshot"],
        }
    }

    /// How long after one round the next one begins.
    pub fn period(self, periods: &ProbesPeriod) -> Duration {
        Duration::from_secs(match self {
            Kind::SystemHost => periods.system_host,
            Kind::MonitorHost => periods.monitor_host,
            Kind::BeaconHost => periods.beacon_host,
            Kind::StateVm => periods.state_vm,
            Kind::ExecVm => periods.exec_vm,
            Kind::MonitorVm => periods.monitor_vm,
        })
    }
}
