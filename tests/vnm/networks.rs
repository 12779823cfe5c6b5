//! Networks made on demand, and removed with their last NIC.

use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, feed, one_after_the_other, said};
use crate::request::{document, run};
use std::process::Stdio;

/// The deployment of VM 1 with its NIC on VLAN 50 over eth0, as the recorded network has it.
fn deployment() -> Recorded {
    Recorded::load("deploy")
        .with("<VN_MAD><![CDATA[dummy]]></VN_MAD>", "<VN_MAD><![CDATA[xcp]]></VN_MAD>")
        .with(
            "<BRIDGE><![CDATA[xenbr0]]></BRIDGE>",
            "<BRIDGE><![CDATA[onebr.50]]></BRIDGE><PHYDEV><![CDATA[eth0]]></PHYDEV><VLAN_ID><![CDATA[50]]></VLAN_ID>",
        )
}

fn deploy(host: &Host) -> String {
    host.deploy_document("xcp-a", &deployment().stdin).ok()
}

fn made(host: &Host) -> Vec<String> {
    let listed = host.xe(&["network-list", "other-config:one_network=vlan", "--minimal"]);
    listed.split(',').filter(|uuid| !uuid.is_empty()).map(str::to_owned).collect()
}

fn vlans(host: &Host) -> usize {
    host.xe(&["vlan-list", "tag=50", "--minimal"]).split(',').filter(|uuid| !uuid.is_empty()).count()
}

#[test]
fn a_vlan_is_made_once_on_every_host_and_goes_with_the_last_nic() {
    let host = Host::new();
    let empty = host.dump();
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    let networks = made(&host);
    assert_eq!((networks.len(), vlans(&host)), (1, 2));
    let named = |field: &str| {
        host.xe(&["network-param-get", &format!("uuid={}", networks[0]), &format!("param-name={field}")])
    };
    assert_eq!((named("name-label").as_str(), named("MTU").as_str()), ("one-xenbr0.50", "1500"));
    let there = host.dump();
    host.forget_calls();
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    host.is_as(&there);
    assert!(one_after_the_other(&host.calls()) <= 3, "{:#?}", host.calls());

    let vm = deploy(&host);
    let vif = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=network-uuid", "--minimal"]);
    assert_eq!(vif, networks[0]);
    run(&host, "post", &[&vm, "xcp-a"], &document("802.1Q-post")).ok();
    // Another VM's end leaves it, and the end of the last one does not.
    run(&host, "clean", &["xcp-b"], &document("802.1Q-clean")).ok();
    assert_eq!((made(&host), vlans(&host)), (networks, 2));
    host.on_vm("cancel", "cancel", &vm).ok();
    for _ in 0..2 {
        run(&host, "clean", &["xcp-a"], &document("802.1Q-clean")).ok();
        host.is_as(&empty);
    }
}

#[test]
fn deploy_makes_what_is_gone_since_pre() {
    let host = Host::new();
    let vm = deploy(&host);
    assert_eq!((made(&host).len(), vlans(&host)), (1, 2));
    assert_eq!(host.host_of(&vm), "xcp-a");
}

#[test]
fn two_at_once_make_one() {
    let host = Host::new();
    host.sim(&["delay", "any", "30"]);
    let start = || {
        let mut command = host.command(host.path("remotes/vnm/xcp/pre"));
        let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        feed(&mut child, document("802.1Q-pre").as_bytes());
        child
    };
    for child in [start(), start(), start()] {
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success(), "{said:?}");
    }
    host.sim(&["clear"]);
    assert_eq!((made(&host).len(), vlans(&host)), (1, 2));
    let named = host.xe(&["network-list", "params=name-label", "--minimal"]);
    assert_eq!(named.matches("one-xenbr0.50").count(), 1, "{named}");
}

#[test]
fn whatever_call_fails_pre_leaves_no_half_and_done_again_it_is_right() {
    let action = |host: &Host| {
        let command = host.command(host.path("remotes/vnm/xcp/pre"));
        (command, document("802.1Q-pre").into_bytes())
    };
    let host = Host::new();
    steps::each_call(&host, &[Wrong::Refused, Wrong::AnswerLost], &action, &|host, step| {
        if step.said.code == Some(1) && step.wrong == Wrong::Refused {
            host.is_as(&step.before);
        }
        run(host, "pre", &[], &document("802.1Q-pre")).ok();
        assert_eq!((made(host).len(), vlans(host)), (1, 2), "{step:#?}");
        run(host, "clean", &["xcp-a"], &document("802.1Q-clean")).ok();
        host.is_as(&step.before);
    });
}

#[test]
fn whatever_call_of_clean_fails_the_next_one_ends_it_and_nobody_is_left_without() {
    let host = Host::new();
    let empty = host.dump();
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    let action = |host: &Host| {
        let command = host.command(host.path("remotes/vnm/xcp/clean"));
        (command, document("802.1Q-clean").into_bytes())
    };
    steps::each_call(&host, &[Wrong::Refused], &action, &|host, step| {
        // It would be the failure of the power-off before it.
        assert_eq!(step.said.code, Some(0), "{step:#?}");
        // A VM that comes between the two finds its network whole.
        run(host, "pre", &[], &document("802.1Q-pre")).ok();
        assert_eq!((made(host).len(), vlans(host)), (1, 2), "{step:#?}");
        run(host, "clean", &["xcp-a"], &document("802.1Q-clean")).ok();
        host.is_as(&empty);
    });
}

#[test]
fn somebody_elses_vlan_is_used_and_stays() {
    let host = Host::new();
    let network = host.xe(&["network-create", "name-label=by hand"]);
    let pifs = host.xe(&["pif-list", "device=eth0", "--minimal"]);
    let pif = pifs.split(',').next().unwrap();
    host.xe(&["pool-vlan-create", &format!("pif-uuid={pif}"), "vlan=50", &format!("network-uuid={network}")]);
    let before = host.dump();
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    run(&host, "clean", &["xcp-a"], &document("802.1Q-clean")).ok();
    host.is_as(&before);
}

#[test]
fn a_host_that_was_down_gets_the_vlan_later() {
    let host = Host::new();
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    let vlan = host.xe(&["vlan-list", "tag=50", "--minimal"]);
    host.xe(&["vlan-destroy", &format!("uuid={}", vlan.split(',').next().unwrap())]);
    run(&host, "pre", &[], &document("802.1Q-pre")).ok();
    assert_eq!((made(&host).len(), vlans(&host)), (1, 2));
}

#[test]
fn an_internal_network_is_made_where_the_virtual_network_names_nothing() {
    let host = Host::new();
    let empty = host.dump();
    let private = |name: &str| document(name).replace("CDATA[onebr.50]", "CDATA[onebr3]");
    let private = |name: &str| {
        let text = private(name).replace("<PHYDEV><![CDATA[eth0]]></PHYDEV>", "");
        text.replace("<VLAN_ID><![CDATA[50]]></VLAN_ID>", "")
    };
    let told = run(&host, "pre", &[], &private("802.1Q-pre"));
    assert!(told.stderr.starts_with("INFO: made the network onebr3"), "{told:?}");
    assert!(told.stderr.contains("WARN: the network onebr3 is connected to no other host"), "{told:?}");
    assert_eq!(host.xe(&["network-list", "bridge=onebr3", "--minimal"]).len(), 36);
    // It is where its first VM runs, and nowhere else.
    let on_it = |vm: &str| {
        let network = host.xe(&["network-list", "bridge=onebr3", "--minimal"]);
        let vif = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "--minimal"]);
        host.xe(&["vif-move", &format!("uuid={vif}"), &format!("network-uuid={network}")]);
    };
    let vm = host.deploy().ok();
    on_it(&vm);
    let refused =
        said(host.command("xe").args(["vm-migrate", &format!("uuid={vm}"), "host=xcp-b", "live=true"]), b"");
    assert!(refused.code == Some(1) && refused.stderr.contains("onebr3"), "{refused:?}");
    assert_eq!(host.host_of(&vm), "xcp-a");
    host.on_vm("cancel", "cancel", &vm).ok();
    run(&host, "clean", &["xcp-a"], &private("802.1Q-clean")).ok();
    host.is_as(&empty);
}

#[test]
fn what_cannot_be_is_refused_by_its_name_and_changes_nothing() {
    let host = Host::new();
    let before = host.dump();
    for (from, to, why) in [
        (
            "<PHYDEV><![CDATA[eth0]]>",
            "<PHYDEV><![CDATA[eth7]]>",
            "VM/TEMPLATE/NIC/PHYDEV: the pool has neither a PIF",
        ),
        ("<VLAN_ID><![CDATA[50]]>", "<VLAN_ID><![CDATA[4095]]>", "VM/TEMPLATE/NIC/VLAN_ID is 4095"),
        (
            "<VLAN_ID><![CDATA[50]]>",
            "<CVLANS>1</CVLANS><VLAN_ID><![CDATA[50]]>",
            "VM/TEMPLATE/NIC/CVLANS: XAPI has no",
        ),
        ("<PHYDEV><![CDATA[eth0]]></PHYDEV>", "", "VM/TEMPLATE/NIC/BRIDGE: no network of the pool has"),
        (
            "<VLAN_ID><![CDATA[50]]>",
            "<MTU>68</MTU><VLAN_ID><![CDATA[50]]>",
            "VM/TEMPLATE/NIC/MTU is 68: a network has one from 1280 to 9216",
        ),
    ] {
        let text = document("802.1Q-pre").replace(from, to);
        let error = run(&host, "pre", &[], &text).failure();
        assert!(error.starts_with(&format!("vnm pre: {why}")), "{error}");
        host.is_as(&before);
    }
}

/// oned.conf restricts NIC/BRIDGE and NIC/VLAN_ID, but not NIC/PHYDEV.
#[test]
fn a_phydev_in_a_tenants_template_leads_nowhere_else() {
    let host = Host::new();
    let other = "<PHYDEV><![CDATA[eth1]]></PHYDEV>";
    let nic = |bridge: &str, vlan: &str| {
        Recorded::load("deploy")
            .with("<VN_MAD><![CDATA[dummy]]></VN_MAD>", "<VN_MAD><![CDATA[xcp]]></VN_MAD>")
            .with("<BRIDGE><![CDATA[xenbr0]]></BRIDGE>", &format!("<BRIDGE>{bridge}</BRIDGE>{other}{vlan}"))
    };
    let network =
        |vm: &str| host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=network-name-label", "--minimal"]);
    let on_bridge = host.xe(&["network-list", "bridge=xenbr0", "params=name-label", "--minimal"]);
    let vm = host.deploy_document("xcp-a", &nic("xenbr0", "").stdin).ok();
    assert_eq!(network(&vm), on_bridge);
    host.on_vm("cancel", "cancel", &vm).ok();
    let vm = host.deploy_document("xcp-a", &nic("xenbr0", "<VLAN_ID>50</VLAN_ID>").stdin).ok();
    assert_eq!(network(&vm), "one-xenbr0.50");
    host.on_vm("cancel", "cancel", &vm).ok();
    // An internal network of OpenNebula's.
    let before = host.dump();
    let error = host.deploy_document("xcp-a", &nic("onebr0", "").stdin).failure();
    assert!(error.contains("NIC/PHYDEV: without a VLAN_ID name the network by BRIDGE"), "{error}");
    host.is_as(&before);
}

#[test]
fn update_nic_sets_what_the_guest_may_send() {
    let host = Host::new();
    let vm = host.deploy().ok();
    let text = document("fw-update_nic").replace("02:00:c0:a8:3d:0a", "02:00:c0:a8:0a:0a");
    let text = text.replacen("<NIC>", "<NIC><INBOUND_AVG_BW>100</INBOUND_AVG_BW>", 1);
    let told = run(&host, "update_nic", &[&vm, "2"], &text);
    assert!(told.code == Some(0) && told.stderr.contains("INBOUND_AVG_BW is not honoured"), "{told:?}");
    let vif = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "--minimal"]);
    let params = host.xe(&["vif-param-get", &format!("uuid={vif}"), "param-name=qos_algorithm_params"]);
    assert!(params.contains("kbps: 2000"), "{params}");
}

#[test]
fn a_vm_that_was_off_starts_on_the_vlan_that_its_network_has_by_now() {
    let host = Host::new();
    let vm = deploy(&host);
    // Its record stays while it is off.
    host.xe(&["vm-param-set", &format!("uuid={vm}"), "blocked-operations:destroy=true"]);
    host.on_vm("shutdown", "shutdown", &vm).ok();
    let later = deployment().with("<VLAN_ID><![CDATA[50]]>", "<VLAN_ID><![CDATA[51]]>");
    assert_eq!(host.deploy_document("xcp-a", &later.stdin).ok(), vm);
    let network = host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=network-uuid", "--minimal"]);
    assert_eq!(host.xe(&["network-list", "name-label=one-xenbr0.51", "--minimal"]), network);
}

#[test]
fn a_virtual_network_that_gets_another_vlan_takes_its_running_vms_along() {
    let host = Host::new();
    let vm = deploy(&host);
    let old = made(&host);
    let network = || host.xe(&["vif-list", &format!("vm-uuid={vm}"), "params=network-uuid", "--minimal"]);
    assert_eq!(network(), old[0]);
    let text = document("802.1Q-post").replace("<VLAN_ID><![CDATA[50]]>", "<VLAN_ID><![CDATA[51]]>");
    let vnet = "3";
    run(&host, "update_nic", &[&vm, vnet], &text).ok();
    let new = made(&host);
    assert_eq!((new.len(), vlans(&host)), (1, 0), "the old VLAN is nobody's any more");
    assert!(new != old && network() == new[0]);
    let there = host.dump();
    run(&host, "update_nic", &[&vm, vnet], &text).ok();
    host.is_as(&there);
}
