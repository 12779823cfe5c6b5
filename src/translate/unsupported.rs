//! What a template asks for and XAPI, or this release of the drivers, cannot give: said in the VM's log.

use crate::one::{Element, Vm};

/// Attributes of the template itself.
const TEMPLATE: [(&str, &str); 3] = [
    ("TPM", "the VM gets no TPM"),
    ("PCI", "no PCI device is passed through"),
    ("CPU_MODEL", "XAPI shows guests the CPU features that all hosts of the pool have"),
];

/// Attributes of each DISK: the storage repository decides how its disks are read and written.
const DISK: [&str; 6] = ["CACHE", "IO", "DISCARD", "IOTHREAD", "VIRTIO_BLK_QUEUES", "RECOVERY_SNAPSHOT_FREQ"];

/// Attributes of each NIC.
const NIC: [(&str, &str); 6] = [
    ("MODEL", "XAPI gives every guest the same network device"),
    ("VIRTIO_QUEUES", "XAPI has no such setting"),
    ("INBOUND_AVG_BW", "XAPI limits only what a guest sends"),
    ("INBOUND_PEAK_BW", "XAPI limits only what a guest sends"),
    ("OUTBOUND_PEAK_BW", "XAPI knows one limit, OUTBOUND_AVG_BW"),
    ("SCRIPT", "XAPI plugs the device in by itself"),
];

/// One sentence for each attribute that is given and not honoured.
pub fn warnings(vm: &Vm) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut note = |place: &Element, name: &str, why: &str| {
        if place.all(name).any(|given| !given.text.trim().is_empty() || !given.children.is_empty()) {
            warnings.push(format!("{}/{name} is not honoured: {why}", place.path));
        }
    };
    for (name, why) in TEMPLATE {
        note(&vm.template, name, why);
    }
    for disk in vm.template.all("DISK") {
        for name in DISK {
            note(disk, name, "the storage repository decides");
        }
    }
    for nic in vm.template.all("NIC") {
        for (name, why) in NIC {
            note(nic, name, why);
        }
    }
    for disk in &vm.disks {
        for (name, _) in &disk.io_limits {
            warnings.push(format!("{}/{name} is not honoured: XAPI limits no disk's traffic", disk.path));
        }
    }
    for nic in vm.nics.iter().filter(|nic| !super::vif::is_locked(nic)) {
        if nic.filters_ip_spoofing {
            warnings.push(format!(
                "{}/FILTER_IP_SPOOFING is not honoured: the NIC has no address to allow",
                nic.path
            ));
        } else if nic.filters_mac_spoofing {
            warnings.push(format!(
                "{}/FILTER_MAC_SPOOFING is not honoured: XAPI filters only with addresses",
                nic.path
            ));
        }
    }
    if vm.template.text("MEMORY_RESIZE_MODE").eq_ignore_ascii_case("HOTPLUG") {
        warnings.push(
            "VM/TEMPLATE/MEMORY_RESIZE_MODE is HOTPLUG: XAPI changes memory by ballooning, up to MEMORY_MAX"
                .to_owned(),
        );
    }
    let graphics = vm.section("GRAPHICS");
    if graphics.text("TYPE").eq_ignore_ascii_case("SPICE") {
        warnings.push("VM/TEMPLATE/GRAPHICS/TYPE is SPICE: XAPI's consoles speak VNC only".to_owned());
    }
    let foreign = vm.template.all("RAW").find(|raw| !raw.text("TYPE").eq_ignore_ascii_case("xcp"));
    warnings.extend(
        foreign.map(|raw| format!("VM/TEMPLATE/RAW is for {}, not for xcp: left out", raw.text("TYPE"))),
    );
    warnings
}
