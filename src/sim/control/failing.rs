//! `one-xcp sim fail`: which calls fail, and how.

use super::pass;
use crate::sim::fault::{ALWAYS, Fault, Kind};
use crate::sim::print::Spoilt;
use anyhow::Result;
use clap::Args;

/// The calls that are to fail.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Failing {
    /// The verb; `any` for all.
    verb: String,
    /// Which call from now on.
    #[arg(long, default_value_t = 1)]
    nth: u64,
    /// The code that XAPI gives.
    #[arg(long, default_value = "INTERNAL_ERROR")]
    code: String,
    /// The parameters of the code.
    #[arg(long, value_delimiter = ',')]
    params: Vec<String>,
    /// Do the work first.
    #[arg(long)]
    after: bool,
    /// Print garbage and exit with 0 instead of failing.
    #[arg(long, conflicts_with_all = ["code", "params", "after"])]
    garbage: bool,
    /// Do the work and exit with 0, and lose the answer: all of it, the last record, from the middle of the
    /// last record on, or for something else.
    #[arg(long, conflicts_with_all = ["code", "params", "after", "garbage"])]
    answer: Option<Spoilt>,
    /// So many calls, from that one on.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["once", "always"])]
    times: u64,
    /// Only that call (the default).
    #[arg(long, conflicts_with = "always")]
    once: bool,
    /// That call and all later ones.
    #[arg(long)]
    always: bool,
}

impl Failing {
    /// The fault that it describes.
    pub fn fault(self) -> Result<Fault> {
        let kind = if let Some(how) = self.answer {
            Kind::Spoils(how)
        } else if self.garbage {
            Kind::Garbage
        } else if self.after {
            Kind::FailsAfter { code: self.code, params: self.params }
        } else {
            Kind::Fails { code: self.code, params: self.params }
        };
        let times = if self.always { ALWAYS } else { self.times };
        Ok(Fault { verb: self.verb, pass: pass(self.nth)?, times, kind })
    }
}
