//! The host's PCI devices that the administrator gives to VMs (settings PCI_FILTER, PCI_SHORT_ADDRESS). What a
//! device is stands in dom0's own `/sys`: XAPI's `pci-list` has names, and no numbers to ask for a device by.

mod filter;
mod names;

pub use filter::Filter;

use super::harmless;
use names::Names;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Where Linux shows its PCI devices, a folder each, named by its address `0000:04:00.0`.
const DEVICES: &str = "/sys/bus/pci/devices";

/// A device, as its folder in `/sys` tells.
struct PciDevice {
    /// Domain, bus, slot and function.
    place: [String; 4],
    vendor: u32,
    device: u32,
    class: u32,
    numa_node: String,
    interface: String,
    /// How many virtual functions a physical one has; none for one that can have none.
    virtual_functions: Option<u32>,
    is_virtual: bool,
}

/// Adds `PCI = [ … ]` for each device that the filter admits. A device whose virtual functions are in use cannot
/// be given away itself.
pub fn describe(text: &mut String, filter: &Filter) {
    describe_in(text, filter, Path::new(DEVICES), &Names::default);
}

fn describe_in(text: &mut String, filter: &Filter, devices: &Path, names: &dyn Fn() -> Names) {
    let Ok(folders) = fs::read_dir(devices) else { return };
    let mut found: Vec<PciDevice> = folders
        .filter_map(|folder| PciDevice::read(&folder.ok()?.path()))
        .filter(|device| {
            filter.admits(device.ids(), &device.short_address()) && device.virtual_functions.unwrap_or(0) == 0
        })
        .collect();
    found.sort_by(|a, b| a.place.cmp(&b.place));
    if found.is_empty() {
        return;
    }
    let names = names();
    for device in found {
        device.write(text, &names);
    }
}

impl PciDevice {
    /// None for what is no device, or vanishes meanwhile.
    fn read(folder: &Path) -> Option<PciDevice> {
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

    fn ids(&self) -> [u32; 3] {
        [self.vendor, self.device, self.class]
    }

    /// Without the domain, as `lspci` shows it where there is only one.
    fn short_address(&self) -> String {
        let [domain, bus, slot, function] = &self.place;
        let domain = if domain == "0000" { String::new() } else { format!("{domain}:") };
        format!("{domain}{bus}:{slot}.{function}")
    }

    /// In the attributes of OpenNebula's probe of KVM.
    fn write(&self, text: &mut String, names: &Names) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Writes a device's folder.
    fn device(devices: &Path, address: &str, files: &[(&str, &str)]) {
        let folder = devices.join(address);
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), format!("{text}\n")).unwrap();
        }
    }

    fn devices() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path();
        let gpu = [("vendor", "0x10de"), ("device", "0x1eb8"), ("class", "0x030200"), ("numa_node", "-1")];
        device(all, "0000:04:00.0", &gpu);
        let nic = [("vendor", "0x8086"), ("device", "0x10fb"), ("class", "0x020000"), ("numa_node", "1")];
        device(all, "0000:05:00.0", &[&nic[..], &[("sriov_numvfs", "0")]].concat());
        device(all, "0000:05:00.1", &[&nic[..], &[("sriov_numvfs", "2")]].concat());
        device(all, "0001:05:10.0", &nic);
        symlink("../0000:05:00.1", all.join("0001:05:10.0/physfn")).unwrap();
        fs::create_dir_all(all.join("0000:05:00.0/net/eth3")).unwrap();
        device(all, "broken", &[]);
        dir
    }

    fn told(ids: &str, short_addresses: &[&str]) -> String {
        let filter = Filter::parse(ids, &short_addresses.join(",")).unwrap();
        let mut text = String::new();
        let names = || {
            Names::parse(
                "10de  NVIDIA Corporation\n\t1eb8  TU104GL [Tesla T4]\n\nC 03  Display controller\n\t02  3D controller\n",
            )
        };
        describe_in(&mut text, &filter, devices().path(), &names);
        text
    }

    #[test]
    fn a_device_is_told_as_opennebulas_probe_tells_it() {
        assert_eq!(
            told("10de:*", &[]),
            "PCI = [ TYPE = \"10de:1eb8:0302\", VENDOR = \"10de\", VENDOR_NAME = \"NVIDIA Corporation\", DEVICE = \"1eb8\", \
             DEVICE_NAME = \"TU104GL Tesla T4\", CLASS = \"0302\", CLASS_NAME = \"3D controller\", ADDRESS = \"0000:04:00:0\", \
             SHORT_ADDRESS = \"04:00.0\", DOMAIN = \"0000\", BUS = \"04\", SLOT = \"00\", FUNCTION = \"0\", \
             NUMA_NODE = \"-\", IFNAME = \"-\", SRIOV = \"no\" ]\n"
        );
        let nics = told("::0200", &[]);
        assert!(
            nics.contains("IFNAME = \"eth3\", SRIOV = \"pf\"") && nics.contains("SRIOV = \"vf\""),
            "{nics}"
        );
        assert!(nics.contains("VENDOR_NAME = \"8086\"") && nics.contains("NUMA_NODE = \"1\""), "{nics}");
    }

    #[test]
    fn only_what_the_filter_admits_is_told() {
        let addresses = |ids: &str, short: &[&str]| -> Vec<String> {
            let text = told(ids, short);
            let short = text.split("SHORT_ADDRESS = \"").skip(1);
            short.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        // 05:00.1 has virtual functions.
        assert_eq!(addresses("*", &[]), ["04:00.0", "05:00.0", "0001:05:10.0"]);
        assert_eq!(addresses("8086:10fb:0200", &[]), ["05:00.0", "0001:05:10.0"]);
        assert_eq!(addresses("8086:1,10de:1eb8", &[]), ["04:00.0"]);
        assert_eq!(addresses("*", &["05:00.0"]), ["05:00.0"]);
        assert_eq!(addresses("0:0", &[]), [""; 0], "none, as in OpenNebula's own pci.conf");
    }
}
