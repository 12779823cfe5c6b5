//! Values of a VM that programs in dom0 get as arguments, or open as files: users write them, so each may only be what it
//! is meant for. XAPI checks some of them, and some only in late releases (xapi `xapi_xenops.ml` `kernel_path`,
//! `vm_platform.ml`; xenopsd `device.ml`, `bootloader.ml`).

use crate::report::Result;
use anyhow::{bail, ensure};

/// Folders of dom0 for kernels and ramdisks of guests: today's, and that of XenServer 6.
const BOOT_FOLDERS: [&str; 2] = ["/var/lib/xcp/guest/", "/boot/guest/"];
const BOOTLOADERS: [&str; 2] = ["pygrub", "eliloader"];
/// What tells pygrub what to take from the guest's disk. Others tell it where to write in dom0 and as whom.
const BOOTLOADER_OPTIONS: [&str; 5] = ["--args=", "--entry=", "--kernel=", "--offset=", "--ramdisk="];

/// Refuses a value of XAPI's parameter `param` that dom0 must not get; `place` is where OpenNebula has it.
pub fn check(place: &str, param: &str, value: &str) -> Result<()> {
    let (is_fine, wanted) = match param {
        "platform:keymap" => (is_keymap(value), "a keyboard layout such as de or en-us"),
        "platform:hvm_serial" => (is_serial(value), "pty, none, or tcp:HOST:PORT"),
        "platform:parallel" => (is_parallel(value), "none, or /dev/parport and a number"),
        "PV-kernel" | "PV-ramdisk" => {
            (is_boot_file(value), "a file of the host in /var/lib/xcp/guest/ (or /boot/guest/)")
        }
        "PV-bootloader" => (BOOTLOADERS.contains(&value), "pygrub or eliloader"),
        "PV-bootloader-args" => {
            if let Some(option) = value.split_whitespace().find(|word| !is_bootloader_option(word)) {
                bail!("{place}: {option:?} is not one of {}", BOOTLOADER_OPTIONS.join(" "));
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    ensure!(is_fine, "{place} is {value:?}: it must be {wanted}");
    Ok(())
}

/// qemu opens the file of that name (`-k`).
fn is_keymap(value: &str) -> bool {
    value.len() <= 16
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// qemu's `-serial` also writes to files, and to other devices of dom0.
fn is_serial(value: &str) -> bool {
    let address = value.strip_prefix("tcp:").unwrap_or_default();
    ["pty", "none", "null"].contains(&value)
        || (!address.is_empty() && address.chars().all(|c| c.is_ascii_alphanumeric() || ".:,-[]".contains(c)))
}

fn is_parallel(value: &str) -> bool {
    let number = value.strip_prefix("/dev/parport").unwrap_or_default();
    value == "none" || (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

fn is_boot_file(value: &str) -> bool {
    let below = BOOT_FOLDERS.iter().find_map(|folder| value.strip_prefix(folder)).unwrap_or_default();
    !below.is_empty()
        && below.split('/').all(|part| !["", ".", ".."].contains(&part))
        && !below.contains(char::is_control)
}

fn is_bootloader_option(word: &str) -> bool {
    BOOTLOADER_OPTIONS.iter().any(|option| word.starts_with(option))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn each_value_is_what_it_is_meant_for() {
        for (param, right, wrong) in [
            ("platform:keymap", "pt-br", "../../etc/passwd"),
            ("platform:keymap", "en_us", "-nodefaults"),
            ("platform:hvm_serial", "pty", "file:/root/.ssh/authorized_keys"),
            ("platform:hvm_serial", "tcp:10.0.0.1:7001,server", "tcp:x/../y"),
            ("platform:parallel", "/dev/parport0", "/dev/parport/../sda"),
            ("platform:parallel", "none", "file:/etc/cron.d/x"),
            ("PV-kernel", "/var/lib/xcp/guest/vmlinuz", "/var/lib/xcp/guest/../../../etc/shadow"),
            ("PV-ramdisk", "/boot/guest/6/initrd", "/etc/shadow"),
            ("PV-bootloader", "pygrub", "/bin/sh"),
            ("PV-bootloader-args", "--kernel=/boot/vmlinuz --entry=1", "--entry=1 --output=/root/.bashrc"),
            ("PV-bootloader-args", "", "--runas=0"),
            ("PV-args", "root=/dev/xvda1 ro", ""),
        ] {
            check("VM", param, right).unwrap();
            assert_eq!(check("VM", param, wrong).is_err(), param != "PV-args", "{param} {wrong}");
        }
        let error = check("VM/TEMPLATE/OS/INITRD", "PV-ramdisk", "/etc/shadow").unwrap_err().to_string();
        assert!(error.starts_with("VM/TEMPLATE/OS/INITRD is \"/etc/shadow\": it must be a file"), "{error}");
    }
}
