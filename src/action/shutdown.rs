//! `shutdown`: asks the guest to power off, waits until it has, brings its disks back to where OpenNebula
//! expects them, and removes the VM from the pool.

use super::Caller;
use super::leave::{self, Leaving, Way};
use crate::report::Result;

/// Power a VM off through its guest, and remove it from the pool.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    leaving: Leaving,
}

pub fn run(caller: &Caller, args: &Args) -> Result<String> {
    leave::run(caller, &args.leaving, Way::Gently)
}
