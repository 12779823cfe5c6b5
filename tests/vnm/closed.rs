//! A NIC that is to be filtered is closed from the start: whatever fails, its VM never runs with it open.

use crate::common::recorded_action::RecordedAction;
use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded};
use crate::request::{document, run};

/// Group 7 lets in SSH alone.
const RULE: &str = "<SECURITY_GROUP_RULE><PROTOCOL><![CDATA[TCP]]></PROTOCOL><RANGE>22</RANGE><RULE_TYPE>inbound</RULE_TYPE>\
    <SECURITY_GROUP_ID>7</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

/// The recorded deployment of VM 1, its NIC of our driver and in that group.
fn deployment() -> Recorded {
    Recorded::load("deploy")
        .with("<VN_MAD><![CDATA[dummy]]></VN_MAD>", "<VN_MAD><![CDATA[xcp]]></VN_MAD>")
        .with(
            "<SECURITY_GROUPS><![CDATA[0]]></SECURITY_GROUPS>",
            "<SECURITY_GROUPS><![CDATA[7]]></SECURITY_GROUPS>",
        )
        .with("</NIC>", &format!("</NIC>{RULE}"))
}

/// The recorded NIC that is attached to VM 1, in that group, too.
fn attach() -> RecordedAction {
    let end = "<VN_MAD><![CDATA[xcp]]></VN_MAD></NIC>";
    RecordedAction::load("attach_nic", "attach_nic")
        .with(
            "<NIC_ID><![CDATA[1]]></NIC_ID><SECURITY_GROUPS><![CDATA[0]]>",
            "<NIC_ID><![CDATA[1]]></NIC_ID><SECURITY_GROUPS><![CDATA[7]]>",
        )
        .with(
            "<TARGET><![CDATA[one-1-1]]></TARGET><VN_MAD><![CDATA[dummy]]></VN_MAD></NIC>",
            &format!("<TARGET><![CDATA[one-1-1]]></TARGET>{end}{RULE}"),
        )
}

/// No VIF of a running VM is on the wire unless it is closed.
#[track_caller]
fn none_is_open(host: &Host) {
    let open = ["network_default", "unlocked"].map(|mode| {
        let listed = host.xe(&[
            "vif-list",
            "vm-name-label=one-1",
            "currently-attached=true",
            &format!("locking-mode={mode}"),
            "--minimal",
        ]);
        listed.split(',').filter(|uuid| !uuid.is_empty()).count()
    });
    assert_eq!(open, [0, 0]);
}

#[test]
fn a_filtered_nic_starts_closed_whatever_fails() {
    let host = Host::new();
    let action = |host: &Host| {
        let file = host.vm_folder(0, 1).join("deployment.0");
        let (command, _) = host.action("deploy", &[file.to_str().unwrap(), "xcp-a", "1", "xcp-a"], b"");
        (command, deployment().stdin)
    };
    steps::each_call(&host, &[Wrong::Killed], &action, &|host, step| {
        none_is_open(host);
        // Before it has a VIF, what is killed is like any other deployment.
        if !host.xe(&["vif-list", "vm-name-label=one-1", "--minimal"]).is_empty() {
            let vm = host.deploy_document("xcp-a", &deployment().stdin);
            assert_eq!(vm.code, Some(0), "{vm:?} after {step:?}");
            none_is_open(host);
        }
    });
    let vif = host.xe(&["vif-list", "vm-name-label=one-1", "--minimal"]);
    let field =
        |name: &str| host.xe(&["vif-param-get", &format!("uuid={vif}"), &format!("param-name={name}")]);
    assert_eq!((field("locking-mode").as_str(), field("ipv4-allowed").as_str()), ("locked", ""));
    assert!(
        field("other-config").contains("one_filter: v1 02:00:c0:a8:0a:0a - -192.168.10.10 i@tcp@22-22@*")
    );
}

#[test]
fn a_filtered_nic_is_attached_closed_whatever_fails() {
    let host = Host::new();
    let vm = host.deploy_document("xcp-a", &deployment().stdin).ok();
    let action = |host: &Host| attach().command(host, &vm);
    steps::each_call(&host, &[Wrong::Killed, Wrong::Refused], &action, &|host, step| {
        none_is_open(host);
        attach().run(host, &vm).ok();
        none_is_open(host);
        let vifs = host.xe(&["vif-list", "vm-name-label=one-1", "locking-mode=locked", "--minimal"]);
        assert_eq!(vifs.split(',').count(), 2, "{step:?}");
    });
}

#[test]
fn the_default_group_costs_nothing_and_leaves_no_mark() {
    let host = Host::new();
    let open = Recorded::load("deploy")
        .with("<VN_MAD><![CDATA[dummy]]></VN_MAD>", "<VN_MAD><![CDATA[xcp]]></VN_MAD>");
    host.forget_calls();
    let vm = host.deploy_document("xcp-a", &open.stdin).ok();
    assert_eq!(host.calls().len(), 23, "as many as without the network driver");
    let vif = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "--minimal"]);
    let marks = host.xe(&["vif-param-get", &format!("uuid={vif}"), "param-name=other-config"]);
    assert!(!marks.contains("one_filter"), "{marks}");
    host.forget_calls();
    run(&host, "pre", &[], &document("fw-pre")).ok();
    run(&host, "post", &[&vm, "xcp-a"], &document("fw-post")).ok();
    assert!(host.calls().is_empty(), "{:?}", host.calls());
}

#[test]
fn without_a_switch_of_the_host_what_is_to_be_filtered_does_not_start() {
    let restricted = document("fw-pre").replace("CDATA[ALL]", "CDATA[TCP]");
    let host = Host::new();
    let before = host.dump();
    let error = run(&host, "pre", &[], &restricted).failure();
    assert!(
        error.starts_with("vnm pre: security groups and FILTER_MAC_SPOOFING need Open vSwitch"),
        "{error}"
    );
    let password = host.path("password");
    std::fs::write(&password, "root\nsecret\n").unwrap();
    let host = host.set("XE_SERVER", "xcp-a").set("XE_PASSWORD_FILE", password.to_str().unwrap());
    let error = run(&host, "pre", &[], &restricted).failure();
    assert!(error.contains("these run on the front-end (XE_SERVER)"), "{error}");
    host.is_as(&before);
}

#[test]
fn a_device_that_is_passed_through_is_not_taken_for_filtered() {
    let host = Host::new();
    let pci = |more: &str| {
        let device =
            "<NIC_ID>1</NIC_ID><VN_MAD>xcp</VN_MAD><BRIDGE>xenbr0</BRIDGE><MAC>02:00:00:00:00:07</MAC>";
        document("fw-pre").replace("</VM>", &format!("<TEMPLATE><PCI>{device}{more}</PCI></TEMPLATE></VM>"))
    };
    run(&host, "pre", &[], &pci("<SECURITY_GROUPS>0</SECURITY_GROUPS>")).ok();
    for refused in [
        "<SECURITY_GROUPS>7</SECURITY_GROUPS>",
        "<VLAN_ID>50</VLAN_ID>",
        "<FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING>",
    ] {
        let error = run(&host, "pre", &[], &pci(refused)).failure();
        assert!(error.starts_with("vnm pre: VM/TEMPLATE/PCI 1: a device that is passed through"), "{error}");
    }
}
