//! OpenNebula's virtualization (VMM) and information (IM) drivers for XCP-ng, XenServer and Xen Cloud
//! Platform. The program is `src/main.rs`; this library lets tests and benchmarks reach its parts.

pub mod action;
pub mod admin;
pub mod cli;
pub mod console;
pub mod datastore;
pub mod file_lock;
pub mod image;
pub mod links;
pub mod lock;
pub mod monitor;
pub mod one;
pub mod parallel;
pub mod pid_file;
pub mod probe;
pub mod process;
pub mod producer;
pub mod qemu_img;
pub mod report;
pub mod retry;
pub mod signal;
#[cfg(feature = "simulator")]
pub mod sim;
pub mod ssh;
pub mod state_dir;
pub mod storage;
pub mod tm;
pub mod translate;
pub mod undo;
pub mod vnm;
pub mod xapi;
pub mod xe;
