//! The actions of `vmm/xcp` through their links, with the arguments and messages that a real oned gave;
//! afterwards the pool is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod attach_disk;
mod bad_input;
mod bad_input_each;
#[path = "../common/mod.rs"]
mod common;
mod cost;
mod default_sr;
mod deploy;
mod detach_disk;
mod devices;
mod discs;
mod disks;
mod exec;
mod forgotten;
mod front_end;
mod hotplug_at_once;
mod identity;
mod in_progress;
mod interrupted;
mod lists_not_believed;
mod migrate;
mod migrate_away;
mod migrate_folder;
mod moved_disks;
mod nics;
mod poll;
mod protected;
mod reconfigure;
mod resize;
mod resize_disk;
mod shutdown;
mod side_by_side;
mod snapshots;
mod spoilt_answers;
mod sr_turns;
mod state_dir;
mod suspend;
mod templates;
mod translated;
mod traps;
mod write_back;
mod write_back_faults;
mod xapi_restarts;
