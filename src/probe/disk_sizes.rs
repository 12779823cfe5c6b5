//! How much of its storage each disk of the pool's running VMs takes.

use crate::parallel;
use crate::report::Result;
use crate::translate::mark;
use crate::xe::{Record, Uuid, Xe};
use std::collections::HashMap;

/// A disk of OpenNebula's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskSize {
    pub disk_id: u32,
    /// What its VDI takes of the SR, in MB; what is begun counts whole, as `du -m` does for OpenNebula's KVM.
    pub size_mb: u64,
}

/// By VM, in two calls for all of them.
pub fn all(xe: &Xe) -> Result<HashMap<Uuid, Vec<DiskSize>>> {
    let (vbds, vdis) = parallel::both(
        || {
            let fields = ["vm-uuid", "vdi-uuid", "other-config"];
            xe.list("vbd", &fields, &[("currently-attached", "true")], disk)
        },
        || {
            xe.list("vdi", &["uuid", "physical-utilisation"], &[], |record| {
                Ok((record.get::<Uuid>("uuid")?, record.text("physical-utilisation").parse::<u64>().ok()))
            })
        },
    );
    let sizes: HashMap<Uuid, Option<u64>> = vdis?.into_iter().collect();
    let mut disks: HashMap<Uuid, Vec<DiskSize>> = HashMap::new();
    for (vm, vdi, disk_id) in vbds?.into_iter().flatten() {
        // An SR that does not tell says -1.
        if let Some(bytes) = sizes.get(&vdi).copied().flatten() {
            disks.entry(vm).or_default().push(DiskSize { disk_id, size_mb: bytes.div_ceil(1 << 20) });
        }
    }
    for disks in disks.values_mut() {
        disks.sort_unstable();
    }
    Ok(disks)
}

/// The VM, the VDI and OpenNebula's number of a disk that was made for OpenNebula.
fn disk(vbd: &Record<'_>) -> Result<Option<(Uuid, Uuid, u32)>> {
    let Some(disk_id) = vbd.map_value("other-config", mark::DISK_ID).and_then(|id| id.parse().ok()) else {
        return Ok(None);
    };
    let Some(vdi) = vbd.optional("vdi-uuid")? else { return Ok(None) };
    Ok(Some((vbd.get("vm-uuid")?, vdi, disk_id)))
}
