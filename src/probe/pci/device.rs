//! One PCI device.

use super::names::Names;
use crate::probe::harmless;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A device, as its folder in `/sys` tells.
pub struct PciDevice {
    /// Domain, bus, slot and function.
    pub place: [String; 4],
    vendor: u32,
    device: u32,
    class: u32,
    numa_node: String,
    interface: String,
    /// How many virtual functions a physical one has; none for one that can have none.
    pub virtual_functions: Option<u32>,
    is_virtual: bool,
}

impl PciDevice {
    /// None for what is no device, or vanishes meanwhile.
    pub fn read(folder: &Path) -> Option<PciDevice> {
        let address = folder.file_name()?.to_str()?.to_owned();
        let (rest, function) = address.rsplit_once('.')?;
        let parts: Vec<&str> = rest.split(':').collect();
        let [domain, bus, slot] = parts.as_slice() else { return None };
        let text = |file: &str| Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned());
        let number = |file: &str| u32::from_str_radix(text(file)?.trim_start_matches("0x"), 16).ok();
        let interface = fs::read_dir(folder.join("net")).ok().and_then(|mut names| names.next()?.ok());
        Some(PciDevice {
            place: [domain, bus, slot, &function].map(|part| (*part).to_owned()),
            vendor: number("vendor")?,
            device: number("device")?,
            // The last two digits are its programming interface.
            class: number("class")? >> 8,
            numa_node: text("numa_node").filter(|node| node.parse::<u32>().is_ok()).unwrap_or("-".to_owned()),
            interface: interface
                .map_or("-".to_owned(), |name| name.file_name().to_string_lossy().into_owned()),
            virtual_functions: text("sriov_numvfs").and_then(|count| count.parse().ok()),
            is_virtual: folder.join("physfn").exists(),
        })
    }

    pub fn ids(&self) -> [u32; 3] {
        [self.vendor, self.device, self.class]
    }

    /// Without the domain, as `lspci` shows it where there is only one.
    pub fn short_address(&self) -> String {
        let [domain, bus, slot, function] = &self.place;
        let domain = if domain == "0000" { String::new() } else { format!("{domain}:") };
        format!("{domain}{bus}:{slot}.{function}")
    }

    /// In the attributes of OpenNebula's probe of KVM.
    pub fn write(&self, text: &mut String, names: &Names) {
        let PciDevice { vendor, device, class, place: [domain, bus, slot, function], .. } = self;
        let role = match (self.is_virtual, self.virtual_functions) {
            (true, _) => "vf",
            (false, Some(_)) => "pf",
            (false, None) => "no",
        };
        let values = [
            ("TYPE", format!("{vendor:04x}:{device:04x}:{class:04x}")),
            ("VENDOR", format!("{vendor:04x}")),
            ("VENDOR_NAME", names.vendor(*vendor)),
            ("DEVICE", format!("{device:04x}")),
            ("DEVICE_NAME", names.device(*vendor, *device)),
            ("CLASS", format!("{class:04x}")),
            ("CLASS_NAME", names.class(*class)),
            ("ADDRESS", self.place.join(":")),
            ("SHORT_ADDRESS", self.short_address()),
            ("DOMAIN", domain.clone()),
            ("BUS", bus.clone()),
            ("SLOT", slot.clone()),
            ("FUNCTION", function.clone()),
            ("NUMA_NODE", self.numa_node.clone()),
            ("IFNAME", self.interface.clone()),
            ("SRIOV", role.to_owned()),
        ];
        let values = values.map(|(name, value)| format!("{name} = \"{}\"", harmless(&value)));
        _ = writeln!(text, "PCI = [ {} ]", values.join(", "));
    }
}
