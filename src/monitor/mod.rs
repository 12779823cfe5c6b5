//! OpenNebula's monitoring client, without Ruby: what runs on a host and keeps telling onemonitord how the
//! host and its VMs are.

mod at_work;
mod cadence;
mod cipher;
pub mod client;
pub mod control;
mod files;
mod first_round;
mod host;
mod imported;
mod kind;
mod log;
mod message;
mod polled;
mod round;
mod sender;
mod state_vm;
mod status;
mod third_party;
