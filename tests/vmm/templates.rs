//! Which XAPI templates a user's VM may be installed from, and what of them it keeps.

use crate::common::{Host, Recorded, Said};

const DEBIAN: &str = "Debian Bookworm 12";

fn deploy_from(host: &Host, template: &str) -> Said {
    let element = format!("<USER_TEMPLATE><XCP_TEMPLATE><![CDATA[{template}]]></XCP_TEMPLATE>");
    let recorded = Recorded::load("deploy").with("<USER_TEMPLATE>", &element);
    host.deploy_document(&recorded.argv[1], &recorded.stdin)
}

/// The administrator's own template: a disk, a NIC, a PCI device, a hypervisor of its own, xenstore data.
fn golden(host: &Host) -> String {
    let vm = host.xe(&["vm-install", &format!("template={DEBIAN}"), "new-name-label=Golden"]);
    let network = host.xe(&["network-list", "bridge=xenbr0", "--minimal"]);
    host.xe(&["vif-create", &format!("vm-uuid={vm}"), &format!("network-uuid={network}"), "device=0"]);
    for set in [
        "other-config:pci=0/0000:02:00.0",
        "platform:nested-virt=true",
        "platform:exp-nested-hvm=true",
        "xenstore-data:vm-data/secret=of the administrator",
        "is-a-template=true",
    ] {
        host.xe(&["vm-param-set", &format!("uuid={vm}"), set]);
    }
    vm
}

fn keeps(host: &Host, vm: &str) -> Vec<String> {
    let entry = |map: &str, key: &str| {
        let shown = host.vm_param(vm, map);
        shown.split("; ").filter(|pair| pair.starts_with(key)).map(str::to_owned).collect::<Vec<_>>()
    };
    [
        entry("other-config", "pci:"),
        entry("platform", "nested-virt:"),
        entry("platform", "exp-nested-hvm:"),
        entry("xenstore-data", "vm-data"),
    ]
    .concat()
}

fn refused(host: &Host, template: &str, why: &str) {
    let before = host.dump();
    let line = deploy_from(host, template).failure();
    assert!(line.contains("XCP_TEMPLATE") && line.contains(why), "{line}");
    host.is_as(&before);
}

#[test]
fn a_user_names_a_template_of_xapis_and_no_other() {
    let host = Host::new();
    let golden = golden(&host);
    let foreign = host.xe(&["vm-list", "is-control-domain=false", "--minimal"]);
    let snapshot = host.xe(&["vm-snapshot", &format!("uuid={foreign}"), "new-name-label=before the update"]);
    for other in [&golden, "Golden", &foreign, &snapshot, "before the update", "no such template"] {
        refused(&host, other, "none of the templates that come with XAPI");
    }
    // Somebody gave a template the name of one of XAPI's.
    host.xe(&["template-param-set", &format!("uuid={golden}"), &format!("name-label={DEBIAN}")]);
    let uuid = deploy_from(&host, DEBIAN).ok();
    assert_eq!(host.vm_param(&uuid, "other-config").matches("base_template_name: Debian").count(), 1);
    assert!(keeps(&host, &uuid).is_empty());
}

#[test]
fn the_administrators_list_takes_the_place_of_xapis_templates() {
    let host = Host::new();
    let uuid = golden(&host);
    let host = host.set("TEMPLATES", &format!("Golden, {uuid}"));
    refused(&host, DEBIAN, "not among the templates that the administrator allows: Golden");
    let before = host.dump();
    for name in ["Golden", &uuid] {
        let vm = deploy_from(&host, name).ok();
        assert_eq!(keeps(&host, &vm), [""; 0]);
        let vifs = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=device", "--minimal"]);
        assert_eq!(vifs, "0", "the template's NIC is gone, OpenNebula's is there");
        let disks = host.xe(&["vbd-list", &format!("vm-uuid={vm}"), "type=Disk", "--minimal"]);
        assert_eq!(disks.split(',').count(), 2);
        host.on_vm("shutdown", "shutdown.3", &vm).ok();
        host.is_as(&before);
    }
    let again = host.xe(&["vm-clone", &format!("uuid={uuid}"), "new-name-label=Golden"]);
    refused(&host, "Golden", "the pool has 2 templates \"Golden\": name one by its uuid");
    assert!(!again.is_empty());
}

#[test]
fn what_a_trusted_template_brings_its_vms_keep() {
    for (name, value) in [("TEMPLATE", "Golden"), ("TEMPLATES", "Golden")] {
        let host = Host::new();
        golden(&host);
        let host = host.set(name, value).set("TRUSTED_TEMPLATES", "Others,Golden");
        let vm = if name == "TEMPLATE" { host.deploy() } else { deploy_from(&host, "Golden") };
        assert_eq!(keeps(&host, &vm.ok()).len(), 4);
    }
    let host = Host::new();
    golden(&host);
    let host = host.set("TEMPLATE", "Golden");
    let said = host.deploy();
    assert!(
        said.log().iter().any(|line| line.contains("does not get xenstore-data of its template")),
        "{said:?}"
    );
    assert_eq!(keeps(&host, &said.ok()), [""; 0]);
}

#[test]
fn what_cannot_be_taken_from_the_vm_ends_the_deployment() {
    let host = Host::new();
    golden(&host);
    let host = host.set("TEMPLATE", "Golden");
    let before = host.dump();
    for verb in ["template-list", "vm-param-remove", "vm-param-clear", "vif-list", "vif-destroy"] {
        host.sim(&["fail", verb, "--code", "INTERNAL_ERROR"]);
        host.deploy().failure();
        host.sim(&["clear"]);
        host.is_as(&before);
    }
}
