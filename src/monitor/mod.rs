//! OpenNebula's monitoring client, without Ruby: what runs on a host and keeps telling onemonitord how the
//! host and its VMs are.

mod at_work;
mod back_off;
mod cadence;
mod cipher;
pub mod client;
mod clock;
mod consoles;
pub mod control;
pub mod counted;
pub mod files;
mod first_round;
pub mod host;
mod imported;
pub mod kind;
pub mod log;
pub mod message;
mod polled;
mod powered_off;
pub mod round;
mod sender;
mod state_vm;
mod status;
mod third_party;
