//! Marks of VBDs and VIFs: which disk or NIC of OpenNebula's each is.

use super::{VM_ID, in_other_config};
use crate::one;
use crate::xe::{Uuid, network, vbd};

/// OpenNebula's number of the disk; on VBDs, set only once the disk's bytes are all in its VDI.
pub const DISK_ID: &str = "one_disk_id";

/// OpenNebula's number of the image that the disk was made from, if any: DISK_IDs are given anew to other disks.
pub const IMAGE_ID: &str = "one_image_id";

/// `file` or `vdi`: who owns the VDI behind a VBD.
pub const ORIGIN: &str = "one_origin";

/// Size and time of change of the image file that a VDI was filled from.
pub const FILE_STAMP: &str = "one_file";

/// The format of the file that a persistent disk goes back to, where nobody tells it; on its VBD.
pub const FORMAT: &str = "one_format";

/// The mark, as `vbd-param-set` takes it.
pub fn format_mark(format: impl std::fmt::Display) -> (String, String) {
    (format!("other-config:{FORMAT}"), format.to_string())
}

/// OpenNebula's number of the NIC.
pub const NIC_ID: &str = "one_nic_id";

/// OpenNebula's NICs that a VM had when a snapshot of it was taken; on the snapshot.
pub const NICS: &str = "one_nics";

/// Its value, of pairs of NIC_ID and MAC. The snapshot's own uuid tells it from one that came with the VM's record.
pub fn nics<'a>(snapshot: &Uuid, nics: impl Iterator<Item = (u32, &'a str)>) -> String {
    let mut nics: Vec<String> = nics.map(|(id, mac)| format!("{id}={}", mac.to_ascii_lowercase())).collect();
    nics.sort();
    format!("{snapshot} {}", nics.join(","))
}

/// XAPI's own mark for "this VDI goes with its VM" (xapi constants.ml `owner_key`).
pub const OWNER: &str = "owner";

/// The VDI that was put into a CD drive, by its uuid: somebody else may change the disc.
pub const INSERTED: &str = "one_inserted";

/// The marks of a VBD whose VDI holds all of `disk_id`; of a CD drive also `disc`, the VDI in it. A CD drive never
/// gets [`OWNER`]: `vm-uninstall` would destroy whatever disc is in the drive by then.
pub fn vbd_marks(
    vm_id: u32,
    disk_id: u32,
    image_id: Option<u32>,
    origin: &one::disk::Origin,
    stamp: &str,
    disc: Option<&Uuid>,
) -> Vec<(String, String)> {
    let mut marks = vec![(VM_ID, vm_id.to_string()), (DISK_ID, disk_id.to_string())];
    marks.extend(image_id.map(|image_id| (IMAGE_ID, image_id.to_string())));
    match origin {
        one::disk::Origin::File => {
            marks.extend([(ORIGIN, "file".to_owned()), (FILE_STAMP, stamp.to_owned())]);
            marks.push(match disc {
                Some(vdi) => (INSERTED, vdi.to_string()),
                None => (OWNER, String::new()),
            });
        }
        one::disk::Origin::Vdi => marks.push((ORIGIN, "vdi".to_owned())),
    }
    in_other_config(marks)
}

/// The marks of a VIF.
pub fn vif_marks(vm_id: u32, nic_id: u32) -> Vec<(String, String)> {
    in_other_config(vec![(VM_ID, vm_id.to_string()), (NIC_ID, nic_id.to_string())])
}

/// The disk whose bytes are all in this VBD's VDI.
pub fn disk_id(vbd: &vbd::Vbd) -> Option<u32> {
    vbd.other_config(DISK_ID)?.parse().ok()
}

/// The image that this VBD's VDI was made from.
pub fn image_id(vbd: &vbd::Vbd) -> Option<u32> {
    vbd.other_config(IMAGE_ID)?.parse().ok()
}

/// Whether the VBD was made for this disk: the same DISK_ID may be another image's by now.
pub fn is_of(vbd: &vbd::Vbd, disk: &one::Disk) -> bool {
    disk_id(vbd) == Some(disk.disk_id) && image_id(vbd) == disk.image_id
}

/// Whether the VDI behind the VBD was made for the VM and goes with it.
pub fn goes_with_vm(vbd: &vbd::Vbd) -> bool {
    vbd.other_config(ORIGIN) == Some("file")
}

/// The VDI that the driver put into this CD drive.
pub fn inserted(drive: &vbd::Vbd) -> Option<Uuid> {
    drive.other_config(INSERTED)?.parse().ok()
}

/// The mark of a CD drive into which this VDI was put.
pub fn inserted_mark(vdi: &Uuid) -> Vec<(String, String)> {
    in_other_config(vec![(INSERTED, vdi.to_string())])
}

/// The name, also a tag, of the VDI that was made for this VBD.
pub fn vdi_name_of(vbd: &vbd::Vbd) -> Option<String> {
    let vm_id = vbd.other_config(VM_ID)?.parse().ok()?;
    Some(super::vdi_name(vm_id, disk_id(vbd)?))
}

/// The NIC that this VIF is.
pub fn nic_id(vif: &network::Vif) -> Option<u32> {
    vif.other_config(NIC_ID)?.parse().ok()
}
