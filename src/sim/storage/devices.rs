//! The places at which a VM has its disks: their names, and what may be done there (xapi `xapi_vbd_helpers.ml`).

use crate::sim::pool::Pool;
use crate::sim::row::{Class, Row};

/// How many VBDs XAPI allows a VM, 0 to 254 (xapi_vm_helpers.ml `allowed_VBD_devices_HVM`, `allowed_VBD_devices_PV`).
const DEVICES: u32 = 255;

/// The first disks of an HVM guest, which XAPI counts as IDE disks (device_number.ml `of_disk_number`).
const IDE_DISKS_OF_HVM: u32 = 4;

/// What a disk is on, with the name and the last number of its disks (device_number.ml `max_of`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bus {
    Xen,
    Ide,
    Scsi,
}

impl Bus {
    const ALL: [(Self, &str, u32); 3] =
        [(Self::Xen, "xvd", (1 << 20) - 1), (Self::Ide, "hd", 19), (Self::Scsi, "sd", 15)];
}

/// The disk that a device means in an HVM guest or in another: `3` is `hdd` in the one and `xvdd` in the other.
fn disk(device: &str, hvm: bool) -> Option<(Bus, u32)> {
    let (bus, number) = if let Ok(number) = device.parse() {
        (if hvm && number < IDE_DISKS_OF_HVM { Bus::Ide } else { Bus::Xen }, number)
    } else {
        let named = |(bus, prefix, _): &(Bus, &str, u32)| Some((*bus, device.strip_prefix(prefix)?));
        let (bus, letters) = Bus::ALL.iter().find_map(named)?;
        (bus, number_of(letters)?)
    };
    let is_there = Bus::ALL.iter().any(|(which, _, last)| *which == bus && number <= *last);
    is_there.then_some((bus, number))
}

/// `a` is 0, `aa` is 26.
fn number_of(letters: &str) -> Option<u32> {
    if letters.is_empty() || letters.len() > 4 || !letters.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    Some(letters.bytes().fold(0_u32, |place, letter| place * 26 + u32::from(letter - b'a') + 1) - 1)
}

/// Whether there is such a device.
pub fn is_device(device: &str) -> bool {
    disk(device, false).is_some()
}

/// Whether one of the VBDs may be the device already: it counts as all that it can mean (xapi_vm_helpers.ml
/// `possible_VBD_devices_of_string`).
pub fn is_taken(vbds: &[&Row], device: &str) -> bool {
    let meant = [disk(device, true), disk(device, false)];
    meant.iter().flatten().any(|disk| is_used(vbds, *disk))
}

fn is_used(vbds: &[&Row], asked: (Bus, u32)) -> bool {
    vbds.iter().any(|vbd| [true, false].iter().any(|&hvm| disk(vbd.get("userdevice"), hvm) == Some(asked)))
}

/// The numbers at which XAPI offers the VM another VBD. One that it offers may be refused: a VBD at `xvdd` leaves `3`
/// of an HVM guest free, and stands in the way of one that is made there.
pub fn free(vm: &Row, vbds: &[&Row]) -> Vec<String> {
    let hvm = !vm.get("HVM-boot-policy").is_empty();
    let is_free = |number: &String| disk(number, hvm).is_some_and(|disk| !is_used(vbds, disk));
    (0..DEVICES).map(|number| number.to_string()).filter(is_free).collect()
}

/// The device that the guest sees.
pub fn guest_device(userdevice: &str) -> String {
    let Ok(number) = userdevice.parse::<u32>() else { return userdevice.to_owned() };
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    if number < 26 {
        format!("xvd{}", letter(number))
    } else {
        format!("xvd{}{}", letter(number / 26 - 1), letter(number))
    }
}

/// `allowed-operations` of a VBD.
pub fn vbd_operations(pool: &Pool, row: &Row) -> Vec<String> {
    let vm = pool.find(Class::Vm, row.get("vm-uuid"));
    let running = vm.is_some_and(|vm| vm.get("power-state") == "running");
    let removable = row.get("type") == "CD";
    let operations: &[&str] = match (running, row.is("currently-attached")) {
        (true, false) => &["attach", "plug"],
        _ if removable && row.is("empty") => &["attach", "insert"],
        _ if removable => &["attach", "eject"],
        (true, true) => &["attach", "unpause", "unplug", "unplug_force", "pause"],
        (false, _) => &["attach"],
    };
    operations.iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(boot_policy: &str) -> Row {
        let mut vm = Row::new(Class::Vm, "vm");
        vm.set("HVM-boot-policy", boot_policy.to_owned());
        vm
    }

    fn vbd(userdevice: &str) -> Row {
        let mut vbd = Row::new(Class::Vbd, "vbd");
        vbd.set("userdevice", userdevice.to_owned());
        vbd
    }

    #[test]
    fn a_device_has_several_names() {
        let last = [("sdp", 15), ("hdt", 19), ("xvdiu", 254)];
        assert!(last.iter().all(|(name, number)| disk(name, true).is_some_and(|(_, of)| of == *number)));
        for name in ["bogus", "sd", "sdq", "hdu", "vda", "1048576"] {
            assert!(!is_device(name), "{name}");
        }
        assert_eq!(guest_device("0"), "xvda");
        assert_eq!(guest_device("27"), "xvdab");
        assert_eq!(guest_device("xvdc"), "xvdc");
    }

    #[test]
    fn a_number_is_taken_by_a_disk_of_either_bus() {
        for (taken, asked, is) in [
            ("3", "xvdd", true),
            ("3", "hdd", true),
            ("3", "sdd", false),
            ("5", "hdf", false),
            ("xvdd", "hdd", false),
        ] {
            assert_eq!(is_taken(&[&vbd(taken)], asked), is, "{taken}, {asked}");
            assert_eq!(is_taken(&[&vbd(asked)], taken), is, "{asked}, {taken}");
        }
    }

    #[test]
    fn a_name_leaves_its_number_free_in_an_hvm_guest_alone() {
        let (zero, named) = (vbd("0"), vbd("xvdb"));
        assert_eq!(free(&vm("BIOS order"), &[&zero, &named])[..2], ["1", "2"]);
        assert_eq!(free(&vm(""), &[&zero, &named])[..2], ["2", "3"]);
        assert_eq!(free(&vm(""), &[]).len(), 255);
    }
}
