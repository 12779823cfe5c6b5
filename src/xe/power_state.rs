//! A VM's power state as XAPI prints it (xapi record_util.ml).

use anyhow::{Error, bail};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    Halted,
    Paused,
    Running,
    Suspended,
}

impl FromStr for PowerState {
    type Err = Error;

    fn from_str(text: &str) -> Result<PowerState, Error> {
        Ok(match text {
            "halted" => PowerState::Halted,
            "paused" => PowerState::Paused,
            "running" => PowerState::Running,
            "suspended" => PowerState::Suspended,
            other => bail!("unknown power state {other:?}"),
        })
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PowerState::Halted => "halted",
            PowerState::Paused => "paused",
            PowerState::Running => "running",
            PowerState::Suspended => "suspended",
        })
    }
}
