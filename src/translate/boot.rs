//! The OS section → how XAPI boots the VM.

use super::dom0;
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
    if machine(vm) != Machine::Pv {
        return Ok(hvm(vm));
    }
    for (name, param) in [("KERNEL", "PV-kernel"), ("INITRD", "PV-ramdisk"), ("BOOTLOADER", "PV-bootloader")]
    {
        if !os.text(name).is_empty() {
            dom0::check(&format!("VM/TEMPLATE/OS/{name}"), param, os.text(name))?;
        }
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

/// How the VM comes to its operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// By a kernel or a boot loader in dom0.
    Pv,
    Bios,
    Uefi,
}

/// What OS asks for.
pub fn machine(vm: &Vm) -> Machine {
    let os = vm.section("OS");
    let firmware = os.text("FIRMWARE");
    if !os.text("KERNEL").is_empty() || !os.text("BOOTLOADER").is_empty() {
        Machine::Pv
    } else if firmware.is_empty() || firmware.eq_ignore_ascii_case("BIOS") {
        Machine::Bios
    } else {
        Machine::Uefi
    }
}

/// The firmware is always given: a template's own would decide otherwise, and has changed with releases.
fn hvm(vm: &Vm) -> Vec<(String, String)> {
    let os = vm.section("OS");
    let is_uefi = machine(vm) == Machine::Uefi;
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
    for (_, device) in devices(vm) {
        let letter = match device {
            Device::Disk(disk_id) if is_cdrom(vm, disk_id) => 'd',
            Device::Disk(_) | Device::AnyDisk => 'c',
            Device::AnyCd => 'd',
            Device::Nic(_) => 'n',
        };
        if !letters.contains(letter) {
            letters.push(letter);
        }
    }
    if letters.is_empty() { DEFAULT_ORDER.to_owned() } else { letters }
}

/// Whether hard disks are among what an HVM guest's firmware tries.
pub fn tries_disks(vm: &Vm) -> bool {
    order(vm).contains('c')
}

/// The hard disk that OpenNebula names as the first to boot from. A BIOS boots the disk at the first place, and UEFI
/// without entries of its own too; of a PV guest XAPI boots the one marked bootable (helpers.ml `boot_method_of_vm`).
pub fn first_disk(vm: &Vm) -> Option<u32> {
    named_disks(vm).find(|disk_id| !is_cdrom(vm, *disk_id))
}

/// The CD that OpenNebula names as the first to boot from: only one of them gets the CD drive.
pub fn first_cd(vm: &Vm) -> Option<u32> {
    named_disks(vm).find(|disk_id| is_cdrom(vm, *disk_id))
}

/// The disk to mark bootable.
pub fn boot_disk_id(vm: &Vm) -> Option<u32> {
    let first = vm.disks.iter().find(|disk| disk.medium == Medium::Disk && !disk.is_swap);
    first_disk(vm).or_else(|| first.map(|disk| disk.disk_id))
}

/// One sentence for each device in OS/BOOT or ORDER that XAPI cannot try, or not in this order.
pub fn not_expressed(vm: &Vm) -> Vec<String> {
    let from = if vm.section("OS").text("BOOT").is_empty() { "ORDER" } else { "OS/BOOT" };
    let has_kernel = !vm.section("OS").text("KERNEL").is_empty();
    let why = |device: &Device| -> Option<&str> {
        let one_disk = "a PV guest boots from one disk";
        match (machine(vm), device) {
            (Machine::Pv, _) if has_kernel => Some("the VM starts the kernel of OS/KERNEL"),
            (Machine::Pv, Device::Disk(disk_id)) => (boot_disk_id(vm) != Some(*disk_id)).then_some(one_disk),
            (Machine::Pv, Device::AnyCd | Device::Nic(_)) => Some(one_disk),
            (_, Device::Disk(disk_id)) if is_cdrom(vm, *disk_id) => {
                (first_cd(vm) != Some(*disk_id)).then_some("XAPI gives a guest one CD drive")
            }
            (Machine::Bios, Device::Disk(disk_id)) => {
                (first_disk(vm) != Some(*disk_id)).then_some("a BIOS tries only the first hard disk")
            }
            (_, Device::Nic(nic_id)) => {
                let is_first = vm.nics.first().is_none_or(|nic| nic.nic_id == *nic_id);
                (!is_first).then_some("the firmware tries the NICs in the order of their numbers")
            }
            _ => None,
        }
    };
    let named = devices(vm);
    let unknown = words(vm).into_iter().filter(|word| named_device(vm, word).is_none());
    let unknown = unknown.map(|word| format!("VM/TEMPLATE/OS/BOOT names {word}, which the VM does not have"));
    let not_tried = named.iter().filter_map(|(word, device)| {
        Some(format!("VM/TEMPLATE/{from}: {word} is not tried in its turn: {}", why(device)?))
    });
    unknown.chain(not_tried).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Disk(u32),
    AnyDisk,
    AnyCd,
    Nic(u32),
}

fn named_disks(vm: &Vm) -> impl Iterator<Item = u32> {
    devices(vm).into_iter().filter_map(|(_, device)| match device {
        Device::Disk(disk_id) => Some(disk_id),
        _ => None,
    })
}

/// OS/BOOT (`disk0,nic1`, or `hd,cdrom,network` of old releases), else the ORDER of disks and NICs; each with its name.
fn devices(vm: &Vm) -> Vec<(String, Device)> {
    let named: Vec<(String, Device)> =
        words(vm).into_iter().filter_map(|word| Some((word.clone(), named_device(vm, &word)?))).collect();
    if !named.is_empty() {
        return named;
    }
    let disk = |disk_id| (format!("disk{disk_id}"), Device::Disk(disk_id));
    let nic = |nic_id| (format!("nic{nic_id}"), Device::Nic(nic_id));
    let disks = vm.disks.iter().filter_map(|one| Some((one.order?, disk(one.disk_id))));
    let nics = vm.nics.iter().filter_map(|one| Some((one.order?, nic(one.nic_id))));
    let mut ordered: Vec<(u32, (String, Device))> = disks.chain(nics).collect();
    ordered.sort_by_key(|(order, _)| *order);
    ordered.into_iter().map(|(_, device)| device).collect()
}

/// The names in OS/BOOT.
fn words(vm: &Vm) -> Vec<String> {
    let os = vm.section("OS");
    let words = os.text("BOOT").split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// None for what the VM does not have.
fn named_device(vm: &Vm, word: &str) -> Option<Device> {
    let has = |medium| vm.disks.iter().any(|disk| disk.medium == medium);
    match word {
        "hd" => has(Medium::Disk).then_some(Device::AnyDisk),
        "cdrom" => has(Medium::CdRom).then_some(Device::AnyCd),
        "network" => vm.nics.first().map(|nic| Device::Nic(nic.nic_id)),
        _ => numbered_device(vm, word),
    }
}

fn numbered_device(vm: &Vm, word: &str) -> Option<Device> {
    if let Some(number) = word.strip_prefix("nic") {
        let nic_id = number.parse().ok()?;
        return vm.nics.iter().any(|nic| nic.nic_id == nic_id).then_some(Device::Nic(nic_id));
    }
    let disk_id = word.strip_prefix("disk")?.parse().ok()?;
    vm.disks.iter().any(|disk| disk.disk_id == disk_id).then_some(Device::Disk(disk_id))
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
