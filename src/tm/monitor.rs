//! `monitor DS_ID`: the room of a system datastore's SR, in MB.

use super::Call;
use crate::datastore;
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    datastore::monitor(call.caller, call.words)
}
