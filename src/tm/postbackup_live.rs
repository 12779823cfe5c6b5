//! `postbackup_live`: as `postbackup`.

use super::{Call, postbackup};
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    postbackup::run(call)
}
