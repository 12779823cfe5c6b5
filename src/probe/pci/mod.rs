//! The host's PCI devices that the administrator gives to VMs (settings PCI_FILTER, PCI_SHORT_ADDRESS). What a
//! device is stands in dom0's own `/sys`: XAPI's `pci-list` has names, and no numbers to ask for a device by.

mod device;
mod filter;
mod names;

pub use filter::Filter;

use device::PciDevice;
use names::Names;
use std::fs;
use std::path::Path;

/// Where Linux shows its PCI devices, a folder each, named by its address `0000:04:00.0`.
const DEVICES: &str = "/sys/bus/pci/devices";

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
