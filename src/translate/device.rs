//! TARGET (`xvda`, `sdb`, `hdc`) → a VBD's device number: its position among the VM's devices.
//!
//! Which disk an HVM guest boots from is a matter of positions as well, see [`boot`].

use super::boot::{self, Machine};
use crate::one::Vm;
use crate::one::disk::Medium;
use crate::report::Result;
use crate::xe::vbd::Kind;
use anyhow::bail;

/// Where guests and tools expect the CD drive (xapi, XenCenter).
pub const CD_DEVICE: u32 = 3;
/// XAPI gives a VM the devices 0 to 254 (xapi_vm_helpers.ml `allowed_VBD_devices_HVM`, `allowed_VBD_devices_PV`).
pub const DEVICES: u32 = 255;
/// The devices that the BIOS of an HVM guest sees: only these are IDE disks too (device_number.ml `of_disk_number`).
const BIOS_DEVICES: u32 = 4;

/// A disk's place in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub disk_id: u32,
    pub device: u32,
    pub kind: Kind,
}

/// How the context disc is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextDevice {
    /// A CD, unless the VM has another: guests of XenServer see only one CD drive.
    Auto,
    Cd,
    Disk,
}

impl ContextDevice {
    /// Of the setting CONTEXT_DEVICE.
    pub fn of_setting(word: &str) -> ContextDevice {
        match word {
            "cd" => ContextDevice::Cd,
            "disk" => ContextDevice::Disk,
            _ => ContextDevice::Auto,
        }
    }
}

/// A slot for each disk, and for the context disc.
///
/// The CD drive takes the CD that the VM boots from, else its first, else the context disc. Disks keep the place that
/// their TARGET names; only one whose place is taken moves. Further discs become read-only disks, behind the disk that
/// the VM boots from: guests find them by what is on them.
pub fn slots(vm: &Vm, context: ContextDevice) -> Result<Vec<Slot>> {
    let mut discs: Vec<(u32, &str)> = vm
        .disks
        .iter()
        .filter(|disk| disk.medium == Medium::CdRom)
        .map(|disk| (disk.disk_id, disk.target.as_str()))
        .collect();
    let as_cd = |wish| wish == ContextDevice::Cd || (wish == ContextDevice::Auto && discs.is_empty());
    let in_drive = boot::first_cd(vm).or(discs.first().map(|(disk_id, _)| *disk_id)).or(vm
        .context
        .as_ref()
        .filter(|_| as_cd(context))
        .map(|disc| disc.disk_id));
    discs.extend(vm.context.as_ref().map(|disc| (disc.disk_id, disc.target.as_str())));
    let mut places = Places(Vec::new());
    places.0.extend(in_drive.map(|disk_id| Slot { disk_id, device: CD_DEVICE, kind: Kind::Cd }));

    let mut moving = Vec::new();
    for disk in vm.disks.iter().filter(|disk| disk.medium == Medium::Disk) {
        match device_of(&disk.target).filter(|wish| places.is_free(*wish)) {
            Some(wish) => places.take(disk.disk_id, wish),
            None => moving.push(disk.disk_id),
        }
    }
    for disk_id in moving {
        let device = places.next_free(vm)?;
        places.take(disk_id, device);
    }
    places.put_boot_disk_first(vm);
    for (disk_id, target) in discs.into_iter().filter(|(disk_id, _)| in_drive != Some(*disk_id)) {
        let is_behind = |device: &u32| places.first().is_none_or(|first| first < *device);
        let wish = device_of(target).filter(|wish| places.is_free(*wish) && is_behind(wish));
        let device = wish.map_or_else(|| places.next_free(vm), Ok)?;
        places.take(disk_id, device);
    }
    Ok(places.0)
}

/// The places that are taken so far.
struct Places(Vec<Slot>);

impl Places {
    fn is_free(&self, device: u32) -> bool {
        self.0.iter().all(|slot| slot.device != device)
    }

    fn take(&mut self, disk_id: u32, device: u32) {
        self.0.push(Slot { disk_id, device, kind: Kind::Disk });
    }

    /// The place of the first disk.
    fn first(&self) -> Option<u32> {
        self.0.iter().filter(|slot| slot.kind == Kind::Disk).map(|slot| slot.device).min()
    }

    fn next_free(&self, vm: &Vm) -> Result<u32> {
        match free_behind(self.first(), |device| self.is_free(device)) {
            Some(device) => Ok(device),
            None => bail!(
                "VM/TEMPLATE has {} disks and discs, more than the {DEVICES} that XAPI gives a VM",
                vm.disks.len() + usize::from(vm.context.is_some())
            ),
        }
    }

    /// An HVM guest boots from its first disk, a BIOS only from one that it sees.
    fn put_boot_disk_first(&mut self, vm: &Vm) {
        let machine = boot::machine(vm);
        let (Some(first), true) = (self.first(), machine != Machine::Pv) else { return };
        let asked = boot::first_disk(vm).and_then(|disk_id| self.place_of(disk_id));
        let boots = asked.unwrap_or(first);
        let is_hidden = machine == Machine::Bios && first >= BIOS_DEVICES && boot::tries_disks(vm);
        let place = if is_hidden { 0 } else { first };
        for slot in self.0.iter_mut().filter(|slot| slot.kind == Kind::Disk) {
            if slot.device == boots {
                slot.device = place;
            } else if slot.device == place {
                slot.device = boots;
            }
        }
    }

    fn place_of(&self, disk_id: u32) -> Option<u32> {
        self.0.iter().find(|slot| slot.disk_id == disk_id && slot.kind == Kind::Disk).map(|slot| slot.device)
    }
}

/// A free place behind the first disk, which a BIOS boots from, else before it. That of the CD drive is used last: a CD
/// may be put in later.
pub fn free_behind(first_disk: Option<u32>, is_free: impl Fn(u32) -> bool) -> Option<u32> {
    let behind = first_disk.map_or(0, |first| first + 1);
    let places = (behind..DEVICES).chain(0..behind.min(DEVICES));
    places.filter(|device| *device != CD_DEVICE).chain([CD_DEVICE]).find(|device| is_free(*device))
}

/// One sentence for each disk that the guest sees under another name than its TARGET.
pub fn moved(vm: &Vm, slots: &[Slot]) -> Vec<String> {
    let has_drive = slots.iter().any(|slot| slot.kind == Kind::Cd && slot.device == CD_DEVICE);
    let why = |target: &str, disk_id: u32| match device_of(target) {
        None => "is no name of a device of XAPI",
        Some(CD_DEVICE) if has_drive => "is the place of the CD drive",
        Some(wish) if slots.iter().all(|slot| slot.device != wish) => "is no place that a BIOS boots from",
        Some(_) if boot::first_disk(vm) == Some(disk_id) => "is not the first disk, and the VM boots from it",
        Some(_) => "is the place of another disk",
    };
    let of_slot = |slot: &Slot| {
        let disk = vm.disks.iter().find(|disk| disk.disk_id == slot.disk_id)?;
        let is_moved = !disk.target.is_empty() && device_of(&disk.target) != Some(slot.device);
        (slot.kind == Kind::Disk && disk.medium == Medium::Disk && is_moved).then(|| {
            let (target, seen_as) = (&disk.target, guest_name(slot.device));
            let why = why(target, disk.disk_id);
            format!("disk {}: TARGET {target} {why}: the guest sees it as {seen_as}", disk.disk_id)
        })
    };
    slots.iter().filter_map(of_slot).collect()
}

/// `xvdc` → 2, `sdaa` → 26; `None` for a name of another form, and for what XAPI has no device for.
pub fn device_of(target: &str) -> Option<u32> {
    let letters = ["xvd", "sd", "hd", "vd"].iter().find_map(|prefix| target.strip_prefix(prefix))?;
    if !(1..=2).contains(&letters.len()) || !letters.bytes().all(|letter| letter.is_ascii_lowercase()) {
        return None;
    }
    let number = letters.bytes().fold(0, |number, letter| number * 26 + u32::from(letter - b'a') + 1) - 1;
    (number < DEVICES).then_some(number)
}

/// The device number of a VBD, whichever way its device was named.
pub fn place_of(userdevice: &str) -> Option<u32> {
    userdevice.parse().ok().or_else(|| device_of(userdevice))
}

/// What a guest with Xen's own drivers calls the device.
pub fn guest_name(device: u32) -> String {
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    match device / 26 {
        0 => format!("xvd{}", letter(device)),
        high => format!("xvd{}{}", letter(high - 1), letter(device)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one::Element;

    #[test]
    fn targets_are_devices_0_to_254_and_back() {
        let known =
            [("sda", 0), ("xvdd", 3), ("vdz", 25), ("sdaa", 26), ("hdaz", 51), ("xvdba", 52), ("sdiu", 254)];
        for (target, device) in known {
            assert_eq!(device_of(target), Some(device), "{target}");
        }
        for device in 0..DEVICES {
            assert_eq!(device_of(&guest_name(device)), Some(device));
        }
        for target in ["", "sd", "sdiv", "sdaaa", "sdA", "sda1", "sdä", "nvme0n1", "mmcblk0"] {
            assert_eq!(device_of(target), None, "{target}");
        }
    }

    /// A VM with these disks, `id:target:kind` each; `kind` is `disk`, `swap`, `cd` or `context`.
    fn vm(os: &str, disks: &str) -> Vm {
        let device = |disk: &str| {
            let parts: Vec<&str> = disk.split(':').collect();
            let &[id, target, kind] = parts.as_slice() else { panic!("{disk}") };
            let (element, kind) = match kind {
                "context" => ("CONTEXT", ""),
                "cd" => ("DISK", "CDROM"),
                "swap" => ("DISK", "swap"),
                _ => ("DISK", "FILE"),
            };
            format!(
                "<{element}><DISK_ID>{id}</DISK_ID><TARGET>{target}</TARGET><TYPE>{kind}</TYPE></{element}>"
            )
        };
        let devices: String = disks.split_whitespace().map(device).collect();
        let nics = "<NIC><NIC_ID>0</NIC_ID></NIC><NIC><NIC_ID>1</NIC_ID></NIC>"
            .replace("</NIC_ID>", "</NIC_ID><BRIDGE>xenbr0</BRIDGE><MAC>02:00:00:00:00:01</MAC>");
        let text = format!(
            "<VM><ID>1</ID><TEMPLATE><MEMORY>64</MEMORY><OS>{os}</OS>{devices}{nics}</TEMPLATE></VM>"
        );
        Vm::read(Element::parse("the test", &text).unwrap()).unwrap()
    }

    /// The places as `id=device`, in the order of the devices; `c` behind that of the CD drive.
    fn layout(vm: &Vm, context: ContextDevice) -> String {
        let mut slots = slots(vm, context).unwrap();
        slots.sort_by_key(|slot| slot.device);
        let one = |slot: &Slot| {
            let drive = if slot.kind == Kind::Cd { "c" } else { "" };
            format!("{}={}{drive}", slot.disk_id, slot.device)
        };
        slots.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    const PV: &str = "<BOOTLOADER>pygrub</BOOTLOADER>";
    const BIOS: &str = "";
    const UEFI: &str = "<FIRMWARE>UEFI</FIRMWARE>";

    #[test]
    fn only_the_disk_that_meets_the_cd_drive_moves() {
        let disks = "0:xvda: 1:sdb: 2:sdc: 3:sdd: 4:sde: 5:sdf: 6:hda:context";
        let vm = vm(BIOS, disks);
        assert_eq!(layout(&vm, ContextDevice::Auto), "0=0 1=1 2=2 6=3c 4=4 5=5 3=6");
        let slots = slots(&vm, ContextDevice::Auto).unwrap();
        assert_eq!(
            moved(&vm, &slots),
            ["disk 3: TARGET sdd is the place of the CD drive: the guest sees it as xvdg"]
        );
    }

    #[test]
    fn two_disks_with_one_target_are_told_apart() {
        let vm = vm(BIOS, "0:sda: 1:sda: 2:sdb: 3:nvme0n1:");
        assert_eq!(layout(&vm, ContextDevice::Auto), "0=0 2=1 1=2 3=4");
        let slots = slots(&vm, ContextDevice::Auto).unwrap();
        assert_eq!(
            moved(&vm, &slots),
            [
                "disk 1: TARGET sda is the place of another disk: the guest sees it as xvdc",
                "disk 3: TARGET nvme0n1 is no name of a device of XAPI: the guest sees it as xvde"
            ]
        );
    }

    /// OS, the disks, CONTEXT_DEVICE, and where they are.
    #[test]
    fn the_disk_that_boots_is_the_first() {
        use ContextDevice::{Auto, Disk};
        let boot = |os: &str, boot: &str| format!("{os}<BOOT>{boot}</BOOT>");
        let table = [
            // Where OpenNebula does not say, disks stay where their TARGETs are.
            (BIOS.to_owned(), "0:sda: 1:sdb:", Auto, "0=0 1=1"),
            (BIOS.to_owned(), "0:sdb: 1:sda:", Auto, "1=0 0=1"),
            (boot(BIOS, "hd,cdrom"), "0:sdb: 1:sda:", Auto, "1=0 0=1"),
            // The disk that it names comes first, and changes places with the one that was.
            (boot(BIOS, "disk1"), "0:sda: 1:sdb: 2:sdc:", Auto, "1=0 0=1 2=2"),
            (boot(UEFI, "disk2,disk0"), "0:sda: 1:sdb: 2:sdc:", Auto, "2=0 1=1 0=2"),
            (boot(BIOS, "nic0,disk1"), "0:sda: 1:sdb:", Auto, "1=0 0=1"),
            (boot(BIOS, "disk0"), "0:sdb: 1:sdc:", Auto, "0=1 1=2"),
            // A PV guest's is marked bootable, and stays where it is.
            (boot(PV, "disk1"), "0:sda: 1:sdb:", Auto, "0=0 1=1"),
            // A disc never comes before the disk.
            (BIOS.to_owned(), "0:sdb: 1:hda:context", Disk, "0=1 1=2"),
            (UEFI.to_owned(), "0:: 1:hda:context", Disk, "0=0 1=1"),
            (PV.to_owned(), "0:sdb: 1:hda:context", Disk, "0=1 1=2"),
            (BIOS.to_owned(), "0:sdb: 1:hda:cd 2:hdc:context", Auto, "0=1 2=2 1=3c"),
            (BIOS.to_owned(), "0:sdb: 1:hdc:cd 2:hda:cd", Auto, "0=1 2=2 1=3c"),
            (BIOS.to_owned(), "1:hda:cd 2:hdc:context", Auto, "2=2 1=3c"),
            // The CD that the VM boots from is in the drive.
            (boot(BIOS, "disk2,disk0"), "0:sda: 1:hdc:cd 2:hdd:cd", Auto, "0=0 1=2 2=3c"),
            // A BIOS sees four devices, UEFI all.
            (BIOS.to_owned(), "0:sdf: 1:sdg:", Auto, "0=0 1=6"),
            (boot(BIOS, "disk1"), "0:sdf: 1:sdg:", Auto, "1=0 0=5"),
            (UEFI.to_owned(), "0:sdf: 1:sdg:", Auto, "0=5 1=6"),
            (boot(BIOS, "nic0"), "0:sdf:", Auto, "0=5"),
        ];
        for (os, disks, context, expected) in table {
            assert_eq!(layout(&vm(&os, disks), context), expected, "{os} {disks}");
        }
    }

    #[test]
    fn as_many_disks_as_xapi_has_devices() {
        let disks = |count: u32| (0..count).map(|id| format!("{id}:sda:")).collect::<Vec<_>>().join(" ");
        let all = slots(&vm(BIOS, &disks(DEVICES)), ContextDevice::Auto).unwrap();
        let mut devices: Vec<u32> = all.iter().map(|slot| slot.device).collect();
        devices.sort_unstable();
        assert_eq!(devices, (0..DEVICES).collect::<Vec<_>>());
        let error = slots(&vm(BIOS, &disks(DEVICES + 1)), ContextDevice::Auto).unwrap_err();
        assert!(error.to_string().contains("has 256 disks and discs, more than the 255"), "{error}");
    }

    #[test]
    fn what_xapi_cannot_boot_is_named() {
        let table: [(&str, &str, &[&str]); 12] = [
            (BIOS, "", &[]),
            (BIOS, "disk0", &[]),
            (BIOS, "disk1,nic0,disk2", &[]),
            (BIOS, "disk0,disk1", &["disk1"]),
            (UEFI, "disk0,disk1", &[]),
            (BIOS, "disk2,disk3", &["disk3"]),
            (UEFI, "nic1,disk0", &["nic1"]),
            (BIOS, "floppy,disk0", &["floppy"]),
            (BIOS, "disk9", &["disk9"]),
            (PV, "disk1", &[]),
            (PV, "nic0,disk1,disk0", &["nic0", "disk0"]),
            ("<KERNEL>/var/lib/xcp/guest/vmlinuz</KERNEL>", "disk0", &["disk0"]),
        ];
        for (os, order, named) in table {
            let vm = vm(&format!("{os}<BOOT>{order}</BOOT>"), "0:sda: 1:sdb: 2:hdc:cd 3:hdd:cd");
            let warnings = boot::not_expressed(&vm);
            assert_eq!(warnings.len(), named.len(), "{os} {order}: {warnings:?}");
            for (warning, name) in warnings.iter().zip(named) {
                assert!(warning.starts_with("VM/TEMPLATE/OS/BOOT") && warning.contains(name), "{warning}");
            }
        }
    }
}
