//! Disk 3 of the recorded `attach_disk` and `detach_disk`: a persistent image in a file datastore, for VM 1.

use super::recorded_action::RecordedAction;
use super::{Host, Recorded, sparse_file};
use std::fs;
use std::path::PathBuf;

pub const MIB: u64 = 1 << 20;

/// What is at 1 MiB of its file.
pub const DATA: &[u8] = b"in the image";

pub const ATTACHED: &str = "<ATTACH><![CDATA[YES]]></ATTACH>";
pub const DISK_3_END: &str = "<TARGET><![CDATA[sdc]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TM_MAD_SYSTEM><![CDATA[ssh]]></TM_MAD_SYSTEM><TYPE><![CDATA[FILE]]></TYPE>";
pub const DISK_3_IN_XCP: &str =
    "<TARGET><![CDATA[sdc]]></TARGET><TM_MAD><![CDATA[xcp]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE>";
pub const DISK_3_AS_CD: &str =
    "<TARGET><![CDATA[sdc]]></TARGET><TM_MAD><![CDATA[ssh]]></TM_MAD><TYPE><![CDATA[CDROM]]></TYPE>";

pub fn attach() -> RecordedAction {
    RecordedAction::load("attach_disk", "attach_disk")
}

pub fn detach() -> RecordedAction {
    RecordedAction::load("detach_disk", "detach_disk")
}

/// The recorded document of an action on the whole VM, with disk 3 in it.
pub fn with_disk_3(name: &str) -> Recorded {
    let attach = String::from_utf8(Recorded::load("attach_disk").stdin).unwrap();
    let at = attach.find(ATTACHED).unwrap();
    let start = attach[..at].rfind("<DISK>").unwrap();
    let end = at + attach[at..].find("</DISK>").unwrap() + "</DISK>".len();
    let disk = attach[start..end].replace(ATTACHED, "");
    Recorded::load(name).with("<MEMORY>", &format!("{disk}<MEMORY>"))
}

/// `disk.N` in the VM's folder.
pub fn file(host: &Host, disk_id: u32) -> PathBuf {
    host.vm_folder(0, 1).join(format!("disk.{disk_id}"))
}

/// What the transfer manager does before `attach_disk`.
pub fn make_file(host: &Host) {
    sparse_file(&file(host, 3), 10 * MIB, &[(MIB, DATA)]);
}

/// A running VM, and disk 3's file.
pub fn running() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    make_file(&host);
    (host, uuid)
}

/// A running VM with disk 3 in it, to which its guest has written.
pub fn with_disk() -> (Host, String) {
    let (host, uuid) = running();
    attach().run(&host, &uuid).ok();
    host.write_vdi(&host.vdi_in(&uuid, "2"), 2 * MIB, b"written by the guest");
    (host, uuid)
}

/// The file holds what the guest wrote, and what it had before.
#[track_caller]
pub fn is_written_back(host: &Host) {
    let file = fs::read(file(host, 3)).unwrap();
    assert_eq!(file.len() as u64, 10 * MIB);
    assert!(file[1 << 20..].starts_with(DATA) && file[2 << 20..].starts_with(b"written by the guest"));
}

/// One field of the VM's VBDs that `filter` leaves.
pub fn vbds(host: &Host, vm: &str, filter: &str, field: &str) -> String {
    host.xe(&["vbd-list", &format!("vm-uuid={vm}"), filter, &format!("params={field}"), "--minimal"])
}

/// The VDIs that were made for disk 3.
pub fn vdis(host: &Host) -> Vec<String> {
    let found = host.xe(&["vdi-list", "name-label=one-1-disk-3", "--minimal"]);
    found.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
}

pub fn default_sr(host: &Host) -> String {
    host.xe(&["pool-list", "params=default-SR", "--minimal"])
}

/// A VDI of an `xcp` datastore, and `disk.N` that names it.
pub fn make_vdi(host: &Host, disk_id: u32) -> String {
    let args = [format!("sr-uuid={}", default_sr(host)), "name-label=image 9".to_owned()];
    let vdi = host.xe(&["vdi-create", &args[0], &args[1], "virtual-size=8MiB"]);
    fs::write(file(host, disk_id), format!("{vdi}\n")).unwrap();
    vdi
}
