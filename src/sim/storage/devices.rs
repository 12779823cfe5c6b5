//! The places at which a VM has its disks: their names, and what may be done there (xapi `xapi_vbd_helpers.ml`).

use crate::sim::pool::Pool;
use crate::sim::row::{Class, Row};

/// How many VBDs XAPI allows a VM, 0 to 254 (xapi_vm_helpers.ml `allowed_VBD_devices_HVM`, `allowed_VBD_devices_PV`).
pub const DEVICES: u32 = 255;

/// The last disk of each bus that has a number in xenstore (device_number.ml `max_of`).
const LAST_XEN: u32 = (1 << 20) - 1;
const LAST_IDE: u32 = 19;
const LAST_SCSI: u32 = 15;

/// The place of a device among the disks of a VM: `3`, `xvdd`, `hdd` and `sdd` are the same.
pub fn position(device: &str) -> Option<u32> {
    if let Ok(number) = device.parse::<u32>() {
        return (number <= LAST_XEN).then_some(number);
    }
    let buses = [("xvd", LAST_XEN), ("hd", LAST_IDE), ("sd", LAST_SCSI)];
    let (letters, last) =
        buses.iter().find_map(|(prefix, last)| Some((device.strip_prefix(prefix)?, *last)))?;
    if letters.is_empty() || letters.len() > 4 || !letters.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let place = letters.bytes().fold(0_u32, |place, letter| place * 26 + u32::from(letter - b'a') + 1) - 1;
    (place <= last).then_some(place)
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

    #[test]
    fn one_device_has_several_names() {
        for name in ["3", "xvdd", "hdd", "sdd"] {
            assert_eq!(position(name), Some(3), "{name}");
        }
        assert_eq!([position("sdp"), position("hdt"), position("xvdiu")], [Some(15), Some(19), Some(254)]);
        for name in ["bogus", "sd", "sdq", "hdu", "vda", "1048576"] {
            assert_eq!(position(name), None, "{name}");
        }
        assert_eq!(guest_device("0"), "xvda");
        assert_eq!(guest_device("27"), "xvdab");
        assert_eq!(guest_device("xvdc"), "xvdc");
    }
}
