//! What a template's words become, each read back from the pool after a deployment; and what XAPI cannot
//! honour, named in the VM's log.
use crate::common::{Host, Recorded, Said};

/// The recorded deployment with more in its template.
fn deploy_with(host: &Host, more: &str) -> Said {
    let recorded = Recorded::load("deploy").with("</TEMPLATE>", &format!("{more}</TEMPLATE>"));
    host.deploy_document("xcp-a", &recorded.stdin)
}

/// The recorded deployment with another OS section.
fn deploy_with_os(host: &Host, os: &str) -> Said {
    let recorded = Recorded::load("deploy");
    let text = String::from_utf8(recorded.stdin.clone()).unwrap();
    let old = &text[text.find("<OS>").unwrap()..text.find("</OS>").unwrap()];
    host.deploy_document("xcp-a", &recorded.with(old, &format!("<OS>{os}")).stdin)
}

fn key(host: &Host, uuid: &str, map: &str, key: &str) -> String {
    let args = [format!("uuid={uuid}"), format!("param-name={map}"), format!("param-key={key}")];
    host.xe(&["vm-param-get", &args[0], &args[1], &args[2]])
}

/// A template's piece, and the parameter that it becomes.
#[track_caller]
fn becomes(more: &str, map: &str, name: &str, value: &str) {
    let host = Host::new();
    let uuid = deploy_with(&host, more).ok();
    assert_eq!(key(&host, &uuid, map, name), value, "{more}");
}

#[track_caller]
fn warns(more: &str, words: &str) {
    let host = Host::new();
    let said = deploy_with(&host, more);
    assert!(
        said.log().iter().any(|line| line.starts_with("WARN: ") && line.contains(words)),
        "{more}: {said:#?}"
    );
    said.ok();
}

#[track_caller]
fn is_refused(more: &str, words: &str) {
    let host = Host::new();
    let before = host.dump();
    let line = deploy_with(&host, more).failure();
    assert!(line.contains(words), "{line}");
    host.is_as(&before);
}

fn pinned(policy: &str, cpus: &str) -> String {
    format!(
        "<TOPOLOGY><PIN_POLICY>{policy}</PIN_POLICY><CORES>2</CORES><SOCKETS>2</SOCKETS></TOPOLOGY>\
         <NUMA_NODE><CPUS>{cpus}</CPUS><MEMORY>524288</MEMORY><NODE_ID>0</NODE_ID></NUMA_NODE>"
    )
}

#[test]
fn vcpus_that_share_their_cpus_have_one_mask() {
    becomes(&pinned("SHARED", "0,1"), "VCPUs-params", "mask", "0,1");
}

#[test]
fn each_vcpu_is_pinned_to_the_cpu_that_the_scheduler_chose_for_it() {
    becomes(&pinned("CORE", "4,6"), "VCPUs-params", "mask", "4;6");
    becomes(&pinned("THREAD", "4"), "VCPUs-params", "mask", "4");
}

#[test]
fn a_vm_that_is_not_pinned_has_no_mask() {
    let host = Host::new();
    let uuid = deploy_with(&host, &pinned("NONE", "0,1")).ok();
    assert_eq!(host.vm_param(&uuid, "VCPUs-params"), "weight: 128");
}

#[test]
fn cores_and_sockets_are_spread_over_the_most_vcpus() {
    let topology = |inner: &str| format!("<TOPOLOGY>{inner}</TOPOLOGY>");
    becomes(&topology("<CORES>2</CORES><SOCKETS>2</SOCKETS>"), "platform", "cores-per-socket", "2");
    becomes(&topology("<SOCKETS>1</SOCKETS>"), "platform", "cores-per-socket", "4");
    becomes(&topology("<CORES>2</CORES><THREADS>2</THREADS>"), "platform", "cores-per-socket", "4");
    is_refused(&topology("<CORES>3</CORES>"), "VM/TEMPLATE/TOPOLOGY asks for 3 VCPUs a socket");
    is_refused(&topology("<SOCKETS>3</SOCKETS>"), "VM/TEMPLATE/TOPOLOGY/SOCKETS is 3");
    warns(&topology("<CORES>2</CORES><THREADS>2</THREADS>"), "VM/TEMPLATE/TOPOLOGY/THREADS is not honoured");
}

#[test]
fn room_to_grow_is_kept_for_vcpu_max_and_memory_max() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    let fields = ["VCPUs-max", "VCPUs-at-startup", "memory-static-max", "memory-dynamic-max"];
    let values = fields.map(|field| host.vm_param(&uuid, field));
    assert_eq!(values, ["4", "2", "1073741824", "536870912"]);
}

#[test]
fn cpu_cap_makes_the_share_a_limit() {
    let host = Host::new().set("CPU_CAP", "yes");
    let uuid = host.deploy().ok();
    assert_eq!(key(&host, &uuid, "VCPUs-params", "cap"), "50");
}

#[test]
fn firmware_and_secure_boot() {
    for (os, firmware, secure) in [
        ("<FIRMWARE>UEFI</FIRMWARE><FIRMWARE_SECURE>YES</FIRMWARE_SECURE>", "uefi", "true"),
        ("<FIRMWARE>/usr/share/OVMF/OVMF_CODE.fd</FIRMWARE>", "uefi", "false"),
        ("<FIRMWARE>BIOS</FIRMWARE>", "bios", "false"),
        ("", "bios", "false"),
    ] {
        let host = Host::new();
        let uuid = deploy_with_os(&host, os).ok();
        assert_eq!(key(&host, &uuid, "HVM-boot-params", "firmware"), firmware, "{os}");
        assert_eq!(key(&host, &uuid, "platform", "secureboot"), secure, "{os}");
    }
}

#[test]
fn the_boot_order_is_the_templates() {
    for (os, order) in
        [("<BOOT>nic0,disk0</BOOT>", "nc"), ("<BOOT>disk0</BOOT>", "c"), ("<BOOT>cdrom,hd</BOOT>", "c")]
    {
        let host = Host::new();
        let uuid = deploy_with_os(&host, os).ok();
        assert_eq!(key(&host, &uuid, "HVM-boot-params", "order"), order, "{os}");
    }
}

#[test]
fn a_kernel_makes_the_vm_paravirtualized() {
    let host = Host::new();
    let os = "<KERNEL>/var/lib/xcp/guest/vmlinuz</KERNEL><INITRD>/var/lib/xcp/guest/initrd</INITRD>\
              <ROOT>xvda1</ROOT><KERNEL_CMD>ro quiet</KERNEL_CMD>";
    let uuid = deploy_with_os(&host, os).ok();
    let fields = ["HVM-boot-policy", "domain-type", "PV-kernel", "PV-ramdisk", "PV-args", "PV-bootloader"];
    assert_eq!(
        fields.map(|field| host.vm_param(&uuid, field)),
        ["", "pv", "/var/lib/xcp/guest/vmlinuz", "/var/lib/xcp/guest/initrd", "root=/dev/xvda1 ro quiet", ""]
    );
}

#[test]
fn pygrub_reads_the_kernel_from_the_bootable_disk() {
    let host = Host::new();
    let uuid =
        deploy_with_os(&host, "<BOOTLOADER>pygrub</BOOTLOADER><KERNEL_CMD>console=hvc0</KERNEL_CMD>").ok();
    let fields = ["domain-type", "PV-bootloader", "PV-args", "PV-kernel"];
    assert_eq!(fields.map(|field| host.vm_param(&uuid, field)), ["pv", "pygrub", "console=hvc0", ""]);
    let bootable = [format!("vm-uuid={uuid}"), "bootable=true".to_owned()];
    assert_eq!(host.xe(&["vbd-list", &bootable[0], &bootable[1], "params=userdevice", "--minimal"]), "0");
}

#[test]
fn a_kernel_that_is_an_image_is_refused_with_what_to_do() {
    let host = Host::new();
    let before = host.dump();
    let line = deploy_with_os(&host, "<KERNEL_DS>$FILE[IMAGE_ID=3]</KERNEL_DS>").failure();
    assert!(
        line.contains("VM/TEMPLATE/OS/KERNEL_DS cannot be honoured") && line.contains("/var/lib/xcp/guest"),
        "{line}"
    );
    host.is_as(&before);
}

#[test]
fn the_machines_uuid_is_kept() {
    let host = Host::new();
    let uuid = host.deploy().ok();
    assert_eq!(key(&host, &uuid, "other-config", "one_os_uuid"), "3c1c159b-2cd2-4428-9684-07110b6908c4");
}

#[test]
fn pci_devices_are_passed_through() {
    let two = "<PCI><ADDRESS>0000:02:00:0</ADDRESS><CLASS>0300</CLASS></PCI><PCI><ADDRESS>0000:af:10:1</ADDRESS></PCI>";
    becomes(two, "other-config", "pci", "0/0000:02:00.0,0/0000:af:10.1");
    is_refused(
        "<PCI><ADDRESS>slot 2</ADDRESS></PCI>",
        "VM/TEMPLATE/PCI/ADDRESS is \"slot 2\": no PCI address",
    );
    warns("<PCI><ADDRESS>0000:02:00:0</ADDRESS><PROFILE>nvidia-63</PROFILE></PCI>", "no mediated ones");
}

#[test]
fn a_tpm_is_made_and_goes_with_its_vm() {
    let host = Host::new();
    let before = host.dump();
    let said = deploy_with(&host, "<TPM><MODEL>tpm-crb</MODEL></TPM>");
    assert!(said.stderr.contains("WARN: VM/TEMPLATE/TPM: the VM's TPM begins empty"), "{said:#?}");
    let uuid = said.ok();
    assert_eq!(host.xe(&["vtpm-list", &format!("vm-uuid={uuid}"), "params=vm-uuid", "--minimal"]), uuid);
    assert_eq!(host.vm_param(&uuid, "vtpms").len(), 36);
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    host.is_as(&before);
    // Where XAPI gives none the VM is not made without.
    host.sim(&["fail", "vtpm-create", "--code", "FEATURE_RESTRICTED"]);
    let line = deploy_with(&host, "<TPM><MODEL>tpm-crb</MODEL></TPM>").failure();
    assert!(line.contains("cannot give the VM a TPM (VM/TEMPLATE/TPM)"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_vlan_of_the_bridge_has_a_network_of_its_own() {
    let host = Host::new();
    let tagged = Recorded::load("deploy").with("<VN_MAD>", "<VLAN_ID>5</VLAN_ID><VN_MAD>");
    let before = host.dump();
    let line = host.deploy_document("xcp-a", &tagged.stdin).failure();
    assert!(
        line.contains("VM/TEMPLATE/NIC/VLAN_ID: the pool has no VLAN 5 on the network with bridge xenbr0"),
        "{line}"
    );
    host.is_as(&before);
    let physical = host.xe(&["network-list", "bridge=xenbr0", "--minimal"]);
    let pif =
        host.xe(&["pif-list", &format!("network-uuid={physical}"), "host-name-label=xcp-a", "--minimal"]);
    let vlan = host.xe(&["network-create", "name-label=five"]);
    let on = [format!("pif-uuid={pif}"), format!("network-uuid={vlan}")];
    host.xe(&["pool-vlan-create", &on[0], &on[1], "vlan=5"]);
    let uuid = host.deploy_document("xcp-a", &tagged.stdin).ok();
    assert_eq!(host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=network-uuid", "--minimal"]), vlan);
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    // BRIDGE may as well name the VLAN's own network.
    let named = Recorded::load("deploy")
        .with("<VN_MAD>", "<VLAN_ID>5</VLAN_ID><VN_MAD>")
        .with("<![CDATA[xenbr0]]>", "<![CDATA[five]]>");
    let uuid = host.deploy_document("xcp-a", &named.stdin).ok();
    assert_eq!(host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=network-uuid", "--minimal"]), vlan);
}

#[test]
fn features_become_platform_flags() {
    let features = "<FEATURES><ACPI>NO</ACPI><PAE>YES</PAE><APIC>YES</APIC><HYPERV>YES</HYPERV></FEATURES>";
    let host = Host::new();
    let recorded = Recorded::load("deploy")
        .with("<FEATURES><ACPI><![CDATA[YES]]></ACPI></FEATURES>", features)
        .with("<DATA><![CDATA[platform:viridian=true]]></DATA>", "<DATA/>");
    let uuid = host.deploy_document("xcp-a", &recorded.stdin).ok();
    for (name, value) in [("acpi", "0"), ("pae", "1"), ("apic", "1"), ("viridian", "true")] {
        assert_eq!(key(&host, &uuid, "platform", name), value, "{name}");
    }
}

#[test]
fn a_tablet_video_and_the_keyboard() {
    becomes("<INPUT><TYPE>tablet</TYPE><BUS>usb</BUS></INPUT>", "platform", "usb_tablet", "true");
    becomes("<VIDEO><TYPE>vga</TYPE><VRAM>16384</VRAM></VIDEO>", "platform", "vga", "std");
    becomes("<VIDEO><TYPE>vga</TYPE><VRAM>16384</VRAM></VIDEO>", "platform", "videoram", "16");
    becomes("<VIDEO><TYPE>cirrus</TYPE></VIDEO>", "platform", "vga", "cirrus");
    let host = Host::new();
    let recorded = Recorded::load("deploy").with("<GRAPHICS>", "<GRAPHICS><KEYMAP>de</KEYMAP>");
    let uuid = host.deploy_document("xcp-a", &recorded.stdin).ok();
    assert_eq!(key(&host, &uuid, "platform", "keymap"), "de");
}

#[test]
fn raw_parameters_are_set_as_they_are_and_only_the_allowed_ones() {
    let raw = |data: &str| format!("<RAW><TYPE>xcp</TYPE><DATA><![CDATA[{data}]]></DATA></RAW>");
    becomes(&raw("platform:nested-virt=true"), "platform", "nested-virt", "true");
    becomes(&raw("xenstore-data:vm-data/role=web"), "xenstore-data", "vm-data/role", "web");
    is_refused(
        &raw("other-config:one_vm_id=7"),
        "VM/TEMPLATE/RAW/DATA: \"other-config:one_vm_id\" may not be set",
    );
    is_refused(&raw("is-a-template=true"), "may not be set");
}

#[test]
fn what_cannot_be_honoured_is_named() {
    for (more, words) in [
        ("<FEATURES><LOCALTIME>YES</LOCALTIME></FEATURES>", "VM/TEMPLATE/FEATURES/LOCALTIME is not honoured"),
        (
            "<FEATURES><GUEST_AGENT>YES</GUEST_AGENT></FEATURES>",
            "VM/TEMPLATE/FEATURES/GUEST_AGENT is not honoured",
        ),
        (
            "<TOPOLOGY><HUGEPAGE_SIZE>2</HUGEPAGE_SIZE></TOPOLOGY>",
            "VM/TEMPLATE/TOPOLOGY/HUGEPAGE_SIZE is not honoured",
        ),
        ("<VIDEO><TYPE>virtio</TYPE></VIDEO>", "VM/TEMPLATE/VIDEO/TYPE is virtio"),
        ("<VIDEO><RESOLUTION>1280x720</RESOLUTION></VIDEO>", "VM/TEMPLATE/VIDEO/RESOLUTION is not honoured"),
        ("<CPU_MODEL><MODEL>host-passthrough</MODEL></CPU_MODEL>", "VM/TEMPLATE/CPU_MODEL is not honoured"),
        ("<MEMORY_RESIZE_MODE>HOTPLUG</MEMORY_RESIZE_MODE>", "VM/TEMPLATE/MEMORY_RESIZE_MODE is HOTPLUG"),
        ("<FILESYSTEM><SOURCE>/srv</SOURCE></FILESYSTEM>", "VM/TEMPLATE/FILESYSTEM is not honoured"),
    ] {
        warns(more, words);
    }
    let said = deploy_with_os(&Host::new(), "<ARCH>aarch64</ARCH>");
    assert!(said.stderr.contains("WARN: VM/TEMPLATE/OS/ARCH is aarch64"), "{said:#?}");
}

#[test]
fn what_is_switched_off_anyway_is_not_worth_a_word() {
    let said = deploy_with(&Host::new(), "<FEATURES><LOCALTIME>NO</LOCALTIME></FEATURES>");
    assert!(!said.stderr.contains("WARN"), "{said:#?}");
    said.ok();
}
