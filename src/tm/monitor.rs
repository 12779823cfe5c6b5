//! `monitor DS_ID`: the room of a system datastore's SR, in MB.
//!
//! How large the disks of VMs are the host's probe tells (DISK_SIZE in its `vm/monitor`). OpenNebula's own drivers
//! whose hosts cannot see that (tm/fs_lvm/monitor, datastore/ceph/monitor) send it to monitord themselves when
//! MONITOR_VM_DISKS asks for it; of what is printed here oned reads the three numbers only
//! (ImageManagerProtocol.cc `_monitor`).

use super::Call;
use crate::datastore;
use crate::report::Result;

pub fn run(call: &Call) -> Result<String> {
    datastore::monitor(call.caller, call.words)
}
