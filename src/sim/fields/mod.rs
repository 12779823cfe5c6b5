//! Field tables: what `xe` shows, filters and sets of each class. One table drives `…-list` and the
//! `…-param-*` verbs, as xapi's `records.ml` does; the order of the fields is its order.

mod field;
mod get;
mod host;
mod network;
mod pool;
mod set;
mod storage;
mod task;
mod vif;
mod vm;
mod vm_memory;
mod vm_set;
mod vtpm;

pub use host::HOST;
pub use network::{NETWORK, PIF, VLAN};
pub use pool::POOL;
pub use storage::{PBD, SR, VBD, VDI};
pub use task::{CONSOLE, MESSAGE, TASK};
pub use vif::VIF;
pub use vm::VM;
pub use vm_memory::{balloon, check_limits, limits_of, memory_limits};
pub use vtpm::VTPM;

pub use field::{Field, Pairs, Set, Shape};
pub use get::{NOWHERE, as_text};

use field::{Get, Members, checked_map, mro, mrw, ro, rw, sro, srw};
use get::referring;
use set::{expected, flag, integer, size, word};
