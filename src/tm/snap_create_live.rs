//! `snap_create_live`: XAPI's storage can take it while the VM runs.

use super::{Call, snap_create};
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    snap_create::run(call)
}
