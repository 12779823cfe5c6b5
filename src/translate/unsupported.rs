//! What a template asks for and XAPI, or this release of the drivers, cannot give: said in the VM's log.

use super::boot;
use crate::one::nic::XCP;
use crate::one::{Element, Nic, Vm};

/// How many disks a VM may have by the configuration limits of XenServer and XCP-ng; XAPI takes a few more.
const SUPPORTED_DISKS: usize = 241;

/// Attributes of the template itself.
const TEMPLATE: [(&str, &str); 3] = [
    ("FILESYSTEM", "XAPI shares no folders of the host"),
    ("MEMORY_ENCRYPTION", "XAPI has no such setting"),
    ("CPU_MODEL", "XAPI shows guests the CPU features that all hosts of the pool have"),
];

/// Attributes of sections that stand once in a template.
const SECTIONS: [(&str, &str, &str); 13] = [
    (
        "FEATURES",
        "LOCALTIME",
        "XAPI starts the guest's clock at UTC; RAW platform:timeoffset=SECONDS moves it",
    ),
    ("FEATURES", "GUEST_AGENT", "XAPI talks to the XenServer guest tools"),
    ("FEATURES", "VIRTIO_SCSI_QUEUES", "XAPI gives every guest the same disk device"),
    ("FEATURES", "VIRTIO_BLK_QUEUES", "XAPI gives every guest the same disk device"),
    ("FEATURES", "IOTHREADS", "XAPI has no such setting"),
    ("TOPOLOGY", "HUGEPAGE_SIZE", "Xen backs guests with large pages by itself"),
    ("TOPOLOGY", "MEMORY_ACCESS", "XAPI shows guests no NUMA nodes"),
    ("TOPOLOGY", "NODE_AFFINITY", "Xen chooses the nodes, near the CPUs the VM is pinned to"),
    ("OS", "SD_DISK_BUS", "XAPI gives every guest the same disk device"),
    ("OS", "FIRMWARE_FORMAT", "XAPI has firmware of its own"),
    ("VIDEO", "RESOLUTION", "the guest chooses"),
    ("VIDEO", "IOMMU", "XAPI has no such setting"),
    ("VIDEO", "ATS", "XAPI has no such setting"),
];

/// Attributes of each DISK: the storage repository decides how its disks are read and written.
const DISK: [&str; 6] = ["CACHE", "IO", "DISCARD", "IOTHREAD", "VIRTIO_BLK_QUEUES", "RECOVERY_SNAPSHOT_FREQ"];

/// Attributes of each NIC.
const NIC: [(&str, &str); 7] = [
    ("MODEL", "XAPI gives every guest the same network device"),
    ("VIRTIO_QUEUES", "XAPI has no such setting"),
    ("INBOUND_AVG_BW", "XAPI limits only what a guest sends"),
    ("INBOUND_PEAK_BW", "XAPI limits only what a guest sends"),
    ("OUTBOUND_PEAK_BW", "XAPI knows one limit, OUTBOUND_AVG_BW"),
    (
        "MTU",
        "a NIC has the MTU of its network in XAPI: xe network-param-set uuid=… MTU=…, before the VM starts",
    ),
    ("SCRIPT", "XAPI plugs the device in by itself"),
];

/// One sentence for each attribute that is given and not honoured.
pub fn warnings(vm: &Vm) -> Vec<String> {
    let mut warnings = boot::not_expressed(vm);
    let discs = vm.disks.len() + usize::from(vm.context.is_some());
    if discs > SUPPORTED_DISKS {
        warnings.push(format!(
            "the VM has {discs} disks and discs: XenServer and XCP-ng support up to {SUPPORTED_DISKS}"
        ));
    }
    let mut note = |place: &Element, name: &str, why: &str| warnings.extend(not_honoured(place, name, why));
    for (name, why) in TEMPLATE {
        note(&vm.template, name, why);
    }
    for (section, name, why) in SECTIONS {
        for section in vm.template.all(section).filter(|section| section.yes_no(name) != Some(false)) {
            note(section, name, why);
        }
    }
    for disk in vm.template.all("DISK") {
        for name in DISK {
            note(disk, name, "the storage repository decides");
        }
    }
    warnings.extend(vm.template.all("NIC").flat_map(of_nic));
    for disk in &vm.disks {
        for (name, _) in &disk.io_limits {
            warnings.push(format!("{}/{name} is not honoured: XAPI limits no disk's traffic", disk.path));
        }
    }
    // What XAPI's lock cannot do the network driver's flows do.
    let by_xapi = |nic: &&Nic| !nic.is_of_xcp() && !super::vif::is_locked(nic);
    for nic in vm.nics.iter().filter(by_xapi) {
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
    devices(vm, &mut warnings);
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

/// The same for a NIC alone. The network driver gives the networks that it makes their MTU.
pub fn of_nic(nic: &Element) -> Vec<String> {
    let is_made = nic.text("VN_MAD") == XCP && !nic.text("VLAN_ID").is_empty();
    let wanted = NIC.into_iter().filter(|(name, _)| !(is_made && *name == "MTU"));
    wanted.filter_map(|(name, why)| not_honoured(nic, name, why)).collect()
}

fn not_honoured(place: &Element, name: &str, why: &str) -> Option<String> {
    let is_given = place.all(name).any(|given| !given.text.trim().is_empty() || !given.children.is_empty());
    is_given.then(|| format!("{}/{name} is not honoured: {why}", place.path()))
}

/// What a device is asked to be and XAPI has none of.
fn devices(vm: &Vm, warnings: &mut Vec<String>) {
    for pci in vm.template.all("PCI").filter(|pci| super::pci::is_mediated(pci)) {
        warnings.push(format!(
            "{} is not honoured: XAPI passes whole devices through, no mediated ones",
            pci.path()
        ));
    }
    if super::pci::has_tpm(vm) {
        warnings.push(
            "VM/TEMPLATE/TPM: the VM's TPM begins empty at each deployment; what the guest keeps in it does not \
             outlive a power-off"
                .to_owned(),
        );
    }
    let video = vm.section("VIDEO");
    let kind = video.text("TYPE").to_ascii_lowercase();
    if !["", "auto", "vga", "cirrus"].contains(&kind.as_str()) {
        warnings.push(format!(
            "VM/TEMPLATE/VIDEO/TYPE is {kind}: XAPI has vga and cirrus, the VM gets its template's"
        ));
    }
    let topology = vm.section("TOPOLOGY");
    if topology.get::<u32>("THREADS").ok().flatten().is_some_and(|threads| threads > 1) {
        warnings.push(
            "VM/TEMPLATE/TOPOLOGY/THREADS is not honoured: XAPI shows each thread as a core".to_owned(),
        );
    }
    let architecture = vm.section("OS").text("ARCH").to_owned();
    if !["", "x86_64", "i686"].contains(&architecture.as_str()) {
        warnings.push(format!("VM/TEMPLATE/OS/ARCH is {architecture}: XAPI's VMs are x86_64"));
    }
}
