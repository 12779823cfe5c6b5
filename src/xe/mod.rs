//! XAPI as its command line client `xe` shows it: typed calls, errors as codes, records.

pub mod call;
pub mod changed_blocks;
pub mod console;
pub mod error;
pub mod free_text;
pub mod guest_script;
pub mod host;
mod lists;
pub mod network;
pub mod pluggable;
pub mod power_state;
pub mod record;
mod restart;
mod server_check;
pub mod session;
pub mod shared;
pub mod snapshot;
pub mod sr;
mod sr_turn;
pub mod task;
pub mod time;
pub mod transfer;
pub mod uuid;
pub mod vbd;
pub mod vdi;
pub mod vlan;
pub mod vm;
pub mod vm_size;

pub use call::{Call, call};
pub use error::XeError;
pub use power_state::PowerState;
pub use record::Record;
pub use restart::Restart;
pub use server_check::ServerCheck;
pub use session::Xe;
pub use shared::Shared;
pub use sr_turn::SrTurns;
pub use uuid::Uuid;

use crate::process::TimedOut;

/// The XAPI error at the bottom of a failed step, if it was one.
pub fn xe_error(error: &anyhow::Error) -> Option<&XeError> {
    error.downcast_ref()
}

/// Whether the step failed with one of these XAPI codes.
pub fn failed_with(error: &anyhow::Error, codes: &[&str]) -> bool {
    xe_error(error).is_some_and(|error| error.is(codes))
}

/// Whether what the step asked for may have happened all the same: the answer never came.
pub fn outcome_unknown(error: &anyhow::Error) -> bool {
    error.downcast_ref::<TimedOut>().is_some() || xe_error(error).is_some_and(XeError::is_lost_connection)
}

/// Whether XAPI refused the step before it did anything, for something that passes.
pub fn was_refused_in_passing(error: &anyhow::Error) -> bool {
    xe_error(error).is_some_and(XeError::is_passing_refusal)
}
