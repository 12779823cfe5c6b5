//! Names of the places at which a VM has its disks (xapi `xapi_vbd_helpers.ml`).

/// The place of a device among the disks of a VM: `3`, `xvdd`, `hdd` and `sdd` are the same.
pub fn position(device: &str) -> Option<u32> {
    if let Ok(number) = device.parse() {
        return Some(number);
    }
    let letter = ["xvd", "hd", "sd"].iter().find_map(|prefix| device.strip_prefix(prefix))?;
    match letter.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(u32::from(letter - b'a')),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_several_names() {
        for name in ["3", "xvdd", "hdd", "sdd"] {
            assert_eq!(position(name), Some(3), "{name}");
        }
        assert_eq!(position("bogus"), None);
        assert_eq!(guest_device("0"), "xvda");
        assert_eq!(guest_device("27"), "xvdab");
        assert_eq!(guest_device("xvdc"), "xvdc");
    }
}
