//! `prebackup_live`: the same for a running VM, whose disks are cloned one right after the other.

use super::{Call, prebackup};
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    prebackup::run(call)
}
