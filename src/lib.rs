//! OpenNebula's virtualization (VMM) and information (IM) drivers for XCP-ng, XenServer and Xen Cloud
//! Platform. The program is `src/main.rs`; this library lets tests and benchmarks reach its parts.

pub mod image;
pub mod sim;
