//! The OS section → how XAPI boots the VM.

use crate::one::Vm;
use crate::one::disk::Medium;
use crate::report::Result;
use anyhow::ensure;

/// Xen's letters: hard disk, CD, network; all of them, where OpenNebula does not say.
const DEFAULT_ORDER: &str = "cdn";

/// Parameters for `vm-param-set`.
pub fn params(vm: &Vm) -> Result<Vec<(String, String)>> {
    let os = vm.section("OS");
    for name in ["KERNEL_DS", "INITRD_DS"] {
        ensure!(
            os.text(name).is_empty(),
            "VM/TEMPLATE/OS/{name} cannot be honoured: XAPI takes kernels only from folders of the host's own \
             (/var/lib/xcp/guest); put it there and name its path in {}",
            name.trim_end_matches("_DS")
        );
    }
    let kernel = os.text("KERNEL");
    let bootloader = os.text("BOOTLOADER");
    if kernel.is_empty() && bootloader.is_empty() {
        return Ok(hvm(vm));
    }
    let set = [
        // An empty policy is what makes a VM paravirtualized (xapi xapi_vm_helpers.ml derive_domain_type).
        ("HVM-boot-policy", ""),
        ("PV-bootloader", bootloader),
        ("PV-kernel", kernel),
        ("PV-ramdisk", os.text("INITRD")),
        ("PV-args", &arguments(os.text("ROOT"), os.text("KERNEL_CMD"))),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(set.into_iter().filter(|(name, value)| name == "HVM-boot-policy" || !value.is_empty()).collect())
}

/// The firmware is always said: a template's own would decide otherwise, and has changed with releases.
fn hvm(vm: &Vm) -> Vec<(String, String)> {
    let os = vm.section("OS");
    let firmware = os.text("FIRMWARE");
    let is_uefi = !firmware.is_empty() && !firmware.eq_ignore_ascii_case("BIOS");
    let mut params = vec![
        ("HVM-boot-policy", "BIOS order".to_owned()),
        ("HVM-boot-params:order", order(vm)),
        ("HVM-boot-params:firmware", if is_uefi { "uefi" } else { "bios" }.to_owned()),
    ];
    if is_uefi {
        params.push(("platform:secureboot", os.is_yes("FIRMWARE_SECURE").to_string()));
    }
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `disk0,nic0` → `cn`. Devices without a place in the order follow, as a BIOS would try them.
fn order(vm: &Vm) -> String {
    let mut letters = String::new();
    for device in devices(vm) {
        let letter = match device {
            Device::Disk(disk_id) if is_cdrom(vm, disk_id) => 'd',
            Device::Disk(_) => 'c',
            Device::Nic => 'n',
        };
        if !letters.contains(letter) {
            letters.push(letter);
        }
    }
    if letters.is_empty() { DEFAULT_ORDER.to_owned() } else { letters }
}

/// The disk that the VM boots from first: among several, XAPI boots the one marked bootable.
pub fn boot_disk_id(vm: &Vm) -> Option<u32> {
    let hard_disk = |disk_id: u32| (!is_cdrom(vm, disk_id)).then_some(disk_id);
    let asked = devices(vm).into_iter().find_map(|device| match device {
        Device::Disk(disk_id) => hard_disk(disk_id),
        Device::Nic => None,
    });
    let first = vm.disks.iter().find(|disk| disk.medium == Medium::Disk && !disk.is_swap);
    asked.or_else(|| first.map(|disk| disk.disk_id))
}

enum Device {
    Disk(u32),
    Nic,
}

/// OS/BOOT (`disk0,nic1`, or `hd,cdrom,network` of old releases), else the ORDER of disks and NICs.
fn devices(vm: &Vm) -> Vec<Device> {
    let os = vm.section("OS");
    let named: Vec<Device> =
        os.text("BOOT").split(',').filter_map(|word| named_device(vm, word.trim())).collect();
    if !named.is_empty() {
        return named;
    }
    let disks = vm.disks.iter().filter_map(|disk| Some((disk.order?, Device::Disk(disk.disk_id))));
    let nics = vm.nics.iter().filter_map(|nic| Some((nic.order?, Device::Nic)));
    let mut ordered: Vec<(u32, Device)> = disks.chain(nics).collect();
    ordered.sort_unstable_by_key(|(order, _)| *order);
    ordered.into_iter().map(|(_, device)| device).collect()
}

fn named_device(vm: &Vm, word: &str) -> Option<Device> {
    let of_medium =
        |medium| vm.disks.iter().find(|disk| disk.medium == medium).map(|disk| Device::Disk(disk.disk_id));
    match word {
        "hd" => of_medium(Medium::Disk),
        "cdrom" => of_medium(Medium::CdRom),
        "network" => Some(Device::Nic),
        _ if word.starts_with("nic") => Some(Device::Nic),
        _ => word.strip_prefix("disk")?.parse().ok().map(Device::Disk),
    }
}

fn is_cdrom(vm: &Vm, disk_id: u32) -> bool {
    vm.disks.iter().any(|disk| disk.disk_id == disk_id && disk.medium == Medium::CdRom)
}

fn arguments(root: &str, kernel_cmd: &str) -> String {
    let root = if root.is_empty() {
        String::new()
    } else {
        format!("root=/dev/{}", root.trim_start_matches("/dev/"))
    };
    format!("{root} {kernel_cmd}").trim().to_owned()
}
