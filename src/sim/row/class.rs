//! The classes of XAPI objects that the simulator keeps.

/// A class of XAPI objects that the simulator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Pool,
    Host,
    Vm,
    Sr,
    Pbd,
    Vdi,
    Vbd,
    Vif,
    Network,
    Pif,
    Vlan,
    Task,
    Console,
    Message,
    Vtpm,
}

impl Class {
    /// Every class, in the order of the state file.
    pub const ALL: [Self; 15] = [
        Self::Pool,
        Self::Host,
        Self::Vm,
        Self::Sr,
        Self::Pbd,
        Self::Vdi,
        Self::Vbd,
        Self::Vif,
        Self::Network,
        Self::Pif,
        Self::Vlan,
        Self::Task,
        Self::Console,
        Self::Message,
        Self::Vtpm,
    ];

    /// The class as `UUID_INVALID` and `MAP_DUPLICATE_KEY` name it.
    pub fn api_name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Host => "host",
            Self::Vm => "VM",
            Self::Sr => "SR",
            Self::Pbd => "PBD",
            Self::Vdi => "VDI",
            Self::Vbd => "VBD",
            Self::Vif => "VIF",
            Self::Network => "network",
            Self::Pif => "PIF",
            Self::Vlan => "VLAN",
            Self::Task => "task",
            Self::Console => "console",
            Self::Message => "message",
            Self::Vtpm => "VTPM",
        }
    }
}
