//! From OpenNebula's words to XAPI's: pure functions, and the only place with both.

pub mod boot;
pub mod cpu;
pub mod device;
mod dom0;
pub mod figure;
pub mod filter;
pub mod mark;
pub mod memory;
pub mod pci;
pub mod platform;
pub mod raw;
pub mod unsupported;
pub mod vif;
pub mod vm_state;
