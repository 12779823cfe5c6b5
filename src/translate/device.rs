//! TARGET (`xvda`, `sdb`, `hdc`) → a VBD's device number.

use crate::one::Vm;
use crate::one::disk::Medium;
use crate::report::Result;
use crate::xe::vbd::Kind;
use anyhow::bail;

/// Where guests and tools expect the CD drive (xapi, XenCenter).
pub const CD_DEVICE: u32 = 3;
/// Devices that every guest's drivers can name.
pub const DEVICES: u32 = 16;

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

/// A slot for each disk, and for the context disc. Disks keep the place their TARGET names, where two do not
/// name the same; the first CD takes the CD drive, further ones become read-only disks.
pub fn slots(vm: &Vm, context: ContextDevice) -> Result<Vec<Slot>> {
    let mut wanted: Vec<(u32, &str, bool)> = vm
        .disks
        .iter()
        .map(|disk| (disk.disk_id, disk.target.as_str(), disk.medium == Medium::CdRom))
        .collect();
    let has_cd = wanted.iter().any(|(_, _, is_cd)| *is_cd);
    if let Some(disc) = &vm.context {
        let as_cd = match context {
            ContextDevice::Auto => !has_cd,
            ContextDevice::Cd => true,
            ContextDevice::Disk => false,
        };
        wanted.push((disc.disk_id, &disc.target, as_cd));
    }
    let mut slots: Vec<Slot> = Vec::new();
    if let Some((disk_id, ..)) = wanted.iter().find(|(_, _, is_cd)| *is_cd) {
        slots.push(Slot { disk_id: *disk_id, device: CD_DEVICE, kind: Kind::Cd });
    }
    let places_named = |(_, target, _): &(u32, &str, bool)| device_of(target).is_some();
    let (named, unnamed): (Vec<_>, Vec<_>) = wanted.into_iter().partition(places_named);
    for (disk_id, target, _) in named.into_iter().chain(unnamed) {
        if slots.iter().any(|slot| slot.disk_id == disk_id) {
            continue;
        }
        let device = free_device(&slots, device_of(target))?;
        slots.push(Slot { disk_id, device, kind: Kind::Disk });
    }
    Ok(slots)
}

fn free_device(taken: &[Slot], wish: Option<u32>) -> Result<u32> {
    let is_free = |device: u32| taken.iter().all(|slot| slot.device != device);
    // The CD's place is used last: a CD may be put in later.
    let rest = (0..DEVICES).filter(|device| *device != CD_DEVICE).chain([CD_DEVICE]);
    match wish.into_iter().chain(rest).find(|device| is_free(*device)) {
        Some(device) => Ok(device),
        None => bail!("VM/TEMPLATE has more than {DEVICES} disks, the most that XAPI gives a VM"),
    }
}

/// `xvdc` → 2; `None` for a name of another form.
pub fn device_of(target: &str) -> Option<u32> {
    let letters = ["xvd", "sd", "hd", "vd"].iter().find_map(|prefix| target.strip_prefix(prefix))?;
    match letters.as_bytes() {
        [letter @ b'a'..=b'p'] => Some(u32::from(letter - b'a')),
        _ => None,
    }
}
