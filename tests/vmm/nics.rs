//! `attach_nic` and `detach_nic` through their links, with what a real oned sent.
use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, said};

const MAC: &str = "02:00:c0:a8:0a:0b";
const ATTACHED: &str = "<ATTACH><![CDATA[YES]]></ATTACH>";

fn attach() -> RecordedAction {
    RecordedAction::load("attach_nic", "attach_nic")
}

fn detach() -> RecordedAction {
    RecordedAction::load("detach_nic", "detach_nic")
}

fn running() -> (Host, String) {
    let host = Host::new();
    let uuid = host.deploy().ok();
    (host, uuid)
}

/// One field of the VM's VIFs with this MAC address.
fn vif(host: &Host, vm: &str, field: &str) -> String {
    let filters = [format!("vm-uuid={vm}"), format!("MAC={MAC}"), format!("params={field}")];
    host.xe(&["vif-list", &filters[0], &filters[1], &filters[2], "--minimal"])
}

fn param(host: &Host, vm: &str, field: &str) -> String {
    host.xe(&["vif-param-get", &format!("uuid={}", vif(host, vm, "uuid")), &format!("param-name={field}")])
}

#[track_caller]
fn has_nic(host: &Host, vm: &str) {
    assert_eq!(
        (vif(host, vm, "device").as_str(), vif(host, vm, "currently-attached").as_str()),
        ("1", "true")
    );
    let marks = param(host, vm, "other-config");
    assert!(marks.contains("one_vm_id: 1") && marks.contains("one_nic_id: 1"), "{marks}");
    let network = host.xe(&["network-list", "bridge=xenbr0", "--minimal"]);
    assert_eq!(vif(host, vm, "network-uuid"), network);
}

#[test]
fn a_nic_comes_and_goes_and_each_may_be_said_twice() {
    let (host, uuid) = running();
    let before = host.dump();
    attach().run(&host, &uuid).ok();
    has_nic(&host, &uuid);
    let attached = host.dump();
    attach().run(&host, &uuid).ok();
    host.is_as(&attached);
    detach().run(&host, &uuid).ok();
    host.is_as(&before);
    detach().run(&host, &uuid).ok();
    detach().run(&host, "11111111-2222-3333-4444-555555555555").ok();
    host.is_as(&before);
}

#[test]
fn from_the_front_end_with_base64_on_standard_input() {
    let (host, uuid) = running();
    let before = host.dump();
    attach().run_from_front_end(&host, &uuid).ok();
    has_nic(&host, &uuid);
    detach().run_from_front_end(&host, &uuid).ok();
    host.is_as(&before);
    // What a oned with local actions sent, for a VM 3.
    host.mark_as(&uuid, 3);
    let recorded = Recorded::load_from("opennebula-7.4-local", "attach_nic");
    let mut command = host.command(host.path("remotes/vmm/xcp/attach_nic"));
    let password_file = host.path("front-end-password");
    command.arg(&uuid).args(&recorded.argv[1..]).env("XE_SERVER", "xcp-a");
    command.env("XE_PASSWORD_FILE", password_file);
    said(&mut command, &recorded.stdin).ok();
    let macs = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=MAC", "--minimal"]);
    assert!(macs.contains("02:00:c0:a8:0a:0e"), "{macs}");
}

#[test]
fn limits_and_filters_are_those_of_a_deployment() {
    let (host, uuid) = running();
    let more = "<OUTBOUND_AVG_BW>1000</OUTBOUND_AVG_BW><INBOUND_AVG_BW>500</INBOUND_AVG_BW><MODEL>e1000</MODEL>\
        <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING><IP6_GLOBAL>2001:db8::b</IP6_GLOBAL>";
    let said = attach().with(ATTACHED, &format!("{ATTACHED}{more}")).run(&host, &uuid);
    for name in ["INBOUND_AVG_BW", "MODEL"] {
        let told = said.log().iter().filter(|line| line.starts_with("WARN: ") && line.contains(name)).count();
        assert_eq!(told, 1, "{said:?}");
    }
    said.ok();
    has_nic(&host, &uuid);
    for (field, value) in [
        ("qos_algorithm_type", "ratelimit"),
        ("qos_algorithm_params", "kbps: 1000"),
        ("locking-mode", "locked"),
        ("ipv4-allowed", "192.168.10.11"),
        ("ipv6-allowed", "2001:db8::b"),
    ] {
        assert_eq!(param(&host, &uuid, field), value, "{field}");
    }
}

/// The recorded message about an alias of NIC 0, whose filter is on.
fn alias(action: RecordedAction, address: &str) -> RecordedAction {
    let message = String::from_utf8(action.recorded.stdin.clone()).unwrap();
    let start = message[..message.find(ATTACHED).unwrap()].rfind("<NIC>").unwrap();
    let end = start + message[start..].find("</NIC>").unwrap() + "</NIC>".len();
    let alias = format!(
        "<NIC_ALIAS>{ATTACHED}<NIC_ID>1</NIC_ID><PARENT>NIC0</PARENT><PARENT_ID>0</PARENT_ID>{address}\
         <MAC>02:00:c0:a8:0a:0a</MAC></NIC_ALIAS>"
    );
    let filter = "<NIC_ID><![CDATA[0]]></NIC_ID>";
    action
        .with(&message[start..end], &alias)
        .with(filter, &format!("{filter}<FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>"))
}

fn filtered() -> (Host, String) {
    let host = Host::new();
    let filter = "<NIC_ID><![CDATA[0]]></NIC_ID>";
    let document = Recorded::load("deploy")
        .with(filter, &format!("{filter}<FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>"));
    let uuid = host.deploy_document("xcp-a", &document.stdin).ok();
    (host, uuid)
}

fn allowed(host: &Host, vm: &str) -> String {
    let vif = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "--minimal"]);
    host.xe(&["vif-param-get", &format!("uuid={vif}"), "param-name=ipv4-allowed"])
}

#[test]
fn an_alias_is_no_device_but_an_address_that_may_pass_its_parents_filter() {
    let (host, uuid) = filtered();
    let before = host.dump();
    let address = "<IP>192.168.10.99</IP>";
    for _ in 0..2 {
        alias(attach(), address).run(&host, &uuid).ok();
        assert_eq!(allowed(&host, &uuid), "192.168.10.10; 192.168.10.99");
    }
    // Its MAC address is its parent's, which stays.
    for _ in 0..2 {
        alias(detach(), address).run(&host, &uuid).ok();
        host.is_as(&before);
    }
    let external = "<EXTERNAL>YES</EXTERNAL><IP>192.168.10.99</IP>";
    alias(attach(), external).run(&host, &uuid).ok();
    host.is_as(&before);
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated];
    let command = |host: &Host| alias(attach(), address).command(host, &uuid);
    steps::each_call(&host, &ways, &command, &|host, step| {
        steps::undone_or_done(host, step, &|host| alias(attach(), address).run(host, &uuid));
    });
}

#[test]
fn an_alias_of_a_nic_without_filter_needs_nothing() {
    let (host, uuid) = running();
    let before = host.dump();
    let filter = "<FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>";
    for action in [attach(), detach()] {
        alias(action, "<IP>192.168.10.99</IP>").with(filter, "").run(&host, &uuid).ok();
        host.is_as(&before);
    }
}

#[test]
fn a_deployed_vm_may_use_its_aliases_addresses() {
    let host = Host::new();
    let alias = "<NIC_ALIAS><NIC_ID>1</NIC_ID><PARENT_ID>0</PARENT_ID><IP>192.168.10.99</IP></NIC_ALIAS>";
    let filter = "<NIC_ID><![CDATA[0]]></NIC_ID>";
    let document = Recorded::load("deploy")
        .with(filter, &format!("{filter}<FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>"))
        .with("<MEMORY>", &format!("{alias}<MEMORY>"));
    let uuid = host.deploy_document("xcp-a", &document.stdin).ok();
    assert_eq!(allowed(&host, &uuid), "192.168.10.10; 192.168.10.99");
}

#[test]
fn a_pci_nic_is_refused_plainly() {
    let (host, uuid) = running();
    let before = host.dump();
    for action in [attach(), detach()] {
        let message = String::from_utf8(action.recorded.stdin.clone()).unwrap();
        let nic = message[..message.find(ATTACHED).unwrap()].rfind("<NIC>").unwrap();
        let end = nic + message[nic..].find("</NIC>").unwrap() + "</NIC>".len();
        let pci = format!("<PCI>{}</PCI>", &message[nic + "<NIC>".len()..end - "</NIC>".len()]);
        let line = action.with(&message[nic..end], &pci).run(&host, &uuid).failure();
        assert!(line.contains("PCI devices"), "{line}");
    }
    host.is_as(&before);
}

// VMs that do not run.

#[test]
fn a_halted_vm_has_the_nic_when_it_starts_and_one_that_is_not_in_the_pool_when_it_is_deployed() {
    let (host, uuid) = running();
    host.xe(&["vm-shutdown", &format!("uuid={uuid}"), "force=true"]);
    let before = host.dump();
    attach().run(&host, &uuid).ok();
    attach().run(&host, &uuid).ok();
    assert_eq!(vif(&host, &uuid, "currently-attached"), "false");
    detach().run(&host, &uuid).ok();
    host.is_as(&before);
    let absent = "11111111-2222-3333-4444-555555555555";
    let line = attach().run(&host, absent).failure();
    assert!(line.contains("the pool has no VM"), "{line}");
    attach().with("<LCM_STATE>25</LCM_STATE>", "<LCM_STATE>65</LCM_STATE>").run(&host, absent).ok();
    host.is_as(&before);
}

#[test]
fn a_suspended_vm_and_a_guest_without_pv_drivers_are_refused_plainly() {
    let (host, uuid) = running();
    host.sim(&["guest", &uuid, "tools=no"]);
    let before = host.dump();
    let line = attach().run(&host, &uuid).failure();
    assert!(line.contains("no PV drivers") && line.contains("VM_MISSING_PV_DRIVERS"), "{line}");
    host.is_as(&before);
    host.sim(&["guest", &uuid, "tools=yes"]);
    attach().run(&host, &uuid).ok();
    host.xe(&["vm-suspend", &format!("uuid={uuid}")]);
    let before = host.dump();
    let other = attach().with(MAC, "02:00:c0:a8:0a:0f");
    for action in [other, detach()] {
        let line = action.run(&host, &uuid).failure();
        assert!(line.contains("is suspended"), "{line}");
    }
    host.is_as(&before);
}

// What goes wrong.

#[test]
fn whichever_call_fails_or_sigterm_at_each_step() {
    let ways = [Wrong::Refused, Wrong::AnswerLost, Wrong::Terminated, Wrong::Killed];
    let (host, uuid) = running();
    let before = host.dump();
    steps::each_call(&host, &ways, &|host| attach().command(host, &uuid), &|host, step| {
        if step.wrong == Wrong::Killed {
            attach().run(host, &uuid).ok();
        } else {
            steps::undone_or_done(host, step, &|host| attach().run(host, &uuid));
        }
        has_nic(host, &uuid);
    });
    attach().run(&host, &uuid).ok();
    steps::each_call(&host, &ways, &|host| detach().command(host, &uuid), &|host, step| {
        if step.wrong == Wrong::Killed {
            detach().run(host, &uuid).ok();
        } else {
            steps::undone_or_done(host, step, &|host| detach().run(host, &uuid));
        }
        host.is_as(&before);
    });
}

#[test]
fn bad_input_reaches_no_pool() {
    let (host, uuid) = running();
    let before = host.dump();
    let line = attach().with(ATTACHED, "").run(&host, &uuid).failure();
    assert!(line.contains("no NIC or NIC_ALIAS or PCI with ATTACH=YES"), "{line}");
    let line =
        attach().with("<BRIDGE><![CDATA[xenbr0]]>", "<BRIDGE><![CDATA[xenbr9]]>").run(&host, &uuid).failure();
    assert!(line.contains("VM/TEMPLATE/NIC/BRIDGE") && line.contains("xenbr9"), "{line}");
    let line = host.run("attach_nic", &[&uuid, MAC, "xenbr0", "-", "dummy", "one-1-1"], b"").failure();
    assert!(line.contains("holds no message"), "{line}");
    let line = attach().with(MAC, "02:00:zz:a8:0a:0b").run(&host, &uuid).failure();
    assert!(line.contains("MAC_INVALID"), "{line}");
    let line = alias(attach(), "").with("<PARENT_ID>0<", "<PARENT_ID>5<").run(&host, &uuid).failure();
    assert!(line.contains("PARENT_ID is 5"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_vm_with_all_the_nics_that_xapi_gives_gets_no_other() {
    let (host, uuid) = running();
    let network = host.xe(&["network-list", "bridge=xenbr1", "--minimal"]);
    for device in 1..7 {
        let args = [format!("vm-uuid={uuid}"), format!("network-uuid={network}"), format!("device={device}")];
        host.xe(&["vif-create", &args[0], &args[1], &args[2]]);
    }
    let before = host.dump();
    let line = attach().run(&host, &uuid).failure();
    assert!(line.contains("has 7 NICs"), "{line}");
    host.is_as(&before);
}

#[test]
fn a_mac_address_on_another_network_is_not_taken_for_the_nic() {
    let (host, uuid) = running();
    let network = host.xe(&["network-list", "bridge=xenbr1", "--minimal"]);
    let args = [format!("vm-uuid={uuid}"), format!("network-uuid={network}"), format!("mac={MAC}")];
    host.xe(&["vif-create", &args[0], &args[1], &args[2], "device=4"]);
    let before = host.dump();
    let line = attach().run(&host, &uuid).failure();
    assert!(line.contains("on another network"), "{line}");
    host.is_as(&before);
    // By hand the MAC address alone does.
    host.run("detach_nic", &[&uuid, &MAC.to_uppercase()], b"").ok();
    assert_eq!(vif(&host, &uuid, "uuid"), "");
}

#[test]
fn a_terminated_vm_takes_its_nics_with_it() {
    let host = Host::new();
    let empty = host.dump();
    let uuid = host.deploy().ok();
    attach().run(&host, &uuid).ok();
    host.on_vm("shutdown", "shutdown.3", &uuid).ok();
    host.is_as(&empty);
}
