//! Security groups with real packets: Debian's Open vSwitch in user space, network namespaces as guests, and our scripts
//! with the recorded documents. Skipped where namespaces or Open vSwitch are not to be had.

use crate::common::steps::{self, Wrong};
use crate::common::{Host, Recorded, said};
use crate::request::{document, run};
use crate::switch::Probe::{self, Ping, Port};
use crate::switch::Switch;

const RULES: &str = "<SECURITY_GROUP_RULE>";

/// One rule of group 7, as oned writes it.
fn rule(direction: &str, protocol: &str, more: &str) -> String {
    format!(
        "<TEMPLATE>{RULES}<PROTOCOL><![CDATA[{protocol}]]></PROTOCOL><RULE_TYPE><![CDATA[{direction}]]></RULE_TYPE>\
         {more}<SECURITY_GROUP_ID><![CDATA[7]]></SECURITY_GROUP_ID></SECURITY_GROUP_RULE></TEMPLATE>"
    )
}

/// The recorded `post` of a VM with one NIC, in group 7 with these rules.
fn vm(rules: &[String], nic: &str) -> String {
    let text = document("fw-post");
    let (start, rest) = text.split_once("<TEMPLATE><NIC>").unwrap();
    let (start, _) = start.split_once(&format!("<TEMPLATE>{RULES}")).unwrap();
    let (first, _) = rest.split_once("</NIC></TEMPLATE>").unwrap();
    let first = first
        .replace("192.168.61.10", "10.9.0.1")
        .replace("02:00:c0:a8:3d:0a", "02:00:0a:09:00:01")
        .replace("<SECURITY_GROUPS><![CDATA[0]]>", "<SECURITY_GROUPS><![CDATA[7]]>");
    format!(
        "{start}{}<TEMPLATE><NIC>{first}<IP6><![CDATA[fd00:9::1]]></IP6>{nic}</NIC></TEMPLATE></VM>",
        rules.concat()
    )
}

/// A deployed VM whose NIC is guest `a` of the switch; the other side is `b`.
type Stage = (Host, Switch, String);

fn stage() -> Option<Stage> {
    let switch = Switch::start()?;
    let host = Host::new().set("OVS_RUNDIR", switch.dir());
    let uuid = host.deploy().ok();
    let vif = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "--minimal"]);
    switch.guest("a", "vif1.0", 1, &[("xs-vm-uuid", &uuid), ("xs-vif-uuid", &vif)]);
    switch.guest("b", "eth9", 2, &[]);
    Some((host, switch, uuid))
}

#[track_caller]
fn set((host, switch, uuid): &Stage, rules: &[String], nic: &str) {
    run(host, "post", &[uuid, "xcp-a"], &vm(rules, nic)).ok();
    switch.forget_decisions();
}

/// Of these, what `from` reaches on `to`; all tried at once.
#[track_caller]
fn reach(switch: &Switch, from: &str, to: &str, expected: &[(Probe, bool)]) {
    let answers = switch.reaches(from, to, expected);
    let passed: Vec<(Probe, bool)> = expected.iter().map(|(probe, _)| *probe).zip(answers).collect();
    assert_eq!(format!("{passed:?}"), format!("{expected:?}"), "from {from} to {to}");
}

const EACH: [Probe; 6] =
    [Port("tcp", 80), Port("udp", 80), Port("tcp6", 80), Port("udp6", 80), Ping(4), Ping(6)];

#[track_caller]
fn reach_each(switch: &Switch, from: &str, to: &str, passes: bool) {
    reach(switch, from, to, &EACH.map(|probe| (probe, passes)));
}

#[test]
fn what_the_rules_say_passes_and_nothing_else() {
    let Some(stage) = stage() else { return };
    let (_, switch, _) = &stage;
    reach_each(switch, "b", "a", true);
    let all = |direction: &str| rule(direction, "ALL", "");
    let only = |ports: &str, protocol: &str| {
        vec![rule("inbound", protocol, &format!("<RANGE><![CDATA[{ports}]]></RANGE>"))]
    };

    // Nothing given, nothing passes: but ARP does, or the connections below would fail for want of an address.
    set(&stage, &[], "");
    reach_each(switch, "a", "b", false);
    reach_each(switch, "b", "a", false);

    // Ports and ranges of them, both families, and the answers.
    set(&stage, &only("80,1000:1007", "TCP"), "");
    let ports = [(80, true), (81, false), (999, false), (1000, true), (1007, true), (1008, false)];
    let expected: Vec<(Probe, bool)> = ["tcp", "tcp6"]
        .iter()
        .flat_map(|tcp| ports.map(|(port, passes)| (Port(tcp, port), passes)))
        .collect();
    reach(switch, "b", "a", &expected);
    reach(switch, "b", "a", &[(Port("udp", 80), false), (Port("udp6", 1000), false), (Ping(4), false)]);
    reach(switch, "a", "b", &[(Port("tcp", 80), false)]);
    set(&stage, &only("53", "UDP"), "");
    let udp = [(Port("udp", 53), true), (Port("udp6", 53), true), (Port("udp", 54), false)];
    reach(switch, "b", "a", &[&udp[..], &[(Port("tcp", 53), false)]].concat());

    // The other direction.
    set(&stage, &[all("outbound")], "");
    reach_each(switch, "a", "b", true);
    reach_each(switch, "b", "a", false);

    // ICMP by its type, each family alone.
    set(&stage, &[rule("inbound", "ICMP", "<ICMP_TYPE><![CDATA[8]]></ICMP_TYPE>")], "");
    reach(switch, "b", "a", &[(Ping(4), true), (Ping(6), false)]);
    reach(switch, "a", "b", &[(Ping(4), false)]);
    set(&stage, &[rule("inbound", "ICMP", "<ICMP_TYPE><![CDATA[13]]></ICMP_TYPE>")], "");
    reach(switch, "b", "a", &[(Ping(4), false)]);
    set(&stage, &[rule("inbound", "ICMPV6", "")], "");
    reach(switch, "b", "a", &[(Ping(6), true), (Ping(4), false)]);

    // Addresses: b is 10.9.0.2 and fd00:9::2.
    let from = |ip: &str, size: u32| {
        vec![rule("inbound", "TCP", &format!("<RANGE>80</RANGE><IP>{ip}</IP><SIZE>{size}</SIZE>"))]
    };
    for (ip, size, ipv4, ipv6) in [
        ("10.9.0.2", 1, true, false),
        ("10.9.0.0", 2, false, false),
        ("10.9.0.1", 7, true, false),
        ("10.9.0.3", 250, false, false),
        ("fd00:9::1", 2, false, true),
        ("fd00:9::3", 2, false, false),
    ] {
        set(&stage, &from(ip, size), "");
        reach(switch, "b", "a", &[(Port("tcp", 80), ipv4), (Port("tcp6", 80), ipv6)]);
    }

    // Everything again, and no flow of ours stays.
    set(&stage, &[all("inbound"), all("outbound")], "");
    reach_each(switch, "b", "a", true);
    reach_each(switch, "a", "b", true);
    assert_eq!(switch.flows(), 0);
}

#[test]
fn a_guest_sends_from_its_own_addresses_alone() {
    let Some(stage) = stage() else { return };
    let (_, switch, _) = &stage;
    let open = [rule("inbound", "ALL", ""), rule("outbound", "ALL", "")];
    let both = "<FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING><FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>";
    let mac = "<FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING>";
    // With a group of its own, or XAPI's lock would do it.
    let rules = [rule("inbound", "TCP", ""), rule("outbound", "ALL", "")];
    switch.address("a", "10.9.0.66");

    set(&stage, &rules, both);
    let web =
        |passes: bool| reach(switch, "a", "b", &[(Port("tcp", 80), passes), (Port("tcp6", 80), passes)]);
    web(true);
    switch.ping_from("10.9.0.66", "a", "b", false);
    set(&stage, &rules, mac);
    // Only the MAC address counts.
    switch.ping_from("10.9.0.66", "a", "b", true);
    switch.set_mac("a", "02:00:0a:09:00:77");
    web(false);
    switch.set_mac("a", "02:00:0a:09:00:01");
    web(true);
    // The MAC filter alone, which XAPI's lock has not.
    set(&stage, &open, mac);
    switch.set_mac("a", "02:00:0a:09:00:77");
    web(false);
}

#[test]
fn what_is_for_all_is_no_way_around_the_rules() {
    let Some(stage) = stage() else { return };
    let (_, switch, _) = &stage;
    let for_all = ("ff:ff:ff:ff:ff:ff", None);
    set(&stage, &[rule("outbound", "ALL", "")], "");
    switch.udp_in_frame("b", "a", for_all, false);
    set(&stage, &[rule("inbound", "UDP", "<RANGE>53</RANGE>")], "");
    switch.udp_in_frame("b", "a", for_all, true);
}

#[test]
fn a_tag_is_no_way_around_the_rules() {
    let Some(stage) = stage() else { return };
    let (_, switch, _) = &stage;
    let closed = [rule("outbound", "ALL", "")];
    let open = [rule("inbound", "UDP", "<RANGE>53</RANGE>")];
    // On the network without a VLAN, a tag that gives the frame's priority alone.
    let mac = "02:00:0a:09:00:01";
    set(&stage, &closed, "");
    switch.udp_in_frame("b", "a", (mac, Some(0)), false);
    set(&stage, &open, "");
    switch.udp_in_frame("b", "a", (mac, Some(0)), true);
    // On VLAN 50: from the wire, and from another guest, whose port on the network without a VLAN takes tags, too.
    switch.vsctl(&["set", "port", "vif1.0", "tag=50"]);
    switch.guest("c", "vif2.0", 3, &[]);
    for from in ["b", "c"] {
        set(&stage, &closed, "");
        switch.udp_in_frame(from, "a", (mac, Some(50)), false);
        set(&stage, &open, "");
        switch.udp_in_frame(from, "a", (mac, Some(50)), true);
        // Another VLAN's.
        switch.udp_in_frame(from, "a", (mac, None), false);
    }
}

#[test]
fn a_connection_outlives_a_change_of_the_rules_and_loses_nothing() {
    let Some(stage) = stage() else { return };
    let (host, switch, uuid) = &stage;
    let web = |more: &[&str]| {
        let mut rules = vec![rule("inbound", "TCP", "<RANGE>80</RANGE>")];
        rules.extend(more.iter().map(|port| rule("inbound", "TCP", &format!("<RANGE>{port}</RANGE>"))));
        rules
    };
    set(&stage, &web(&[]), "");
    switch.open_stream("b", "a", 80);
    // At once, and where the switch cannot do that (before 2.8 it had no OpenFlow 1.4 unless told to).
    for protocols in ["OpenFlow10,OpenFlow14", "OpenFlow10,OpenFlow13"] {
        switch.vsctl(&["set", "bridge", "xenbr0", &format!("protocols={protocols}")]);
        for more in [&["443"][..], &["443", "22"], &[], &["8080"]] {
            run(host, "update_sg", &[uuid], &vm(&web(more), "")).ok();
            switch.exchange("b");
        }
    }
    // Its rule is gone: no new one begins, and the one that is there goes on, as with OpenNebula's own rules.
    run(host, "update_sg", &[uuid], &vm(&[], "")).ok();
    switch.forget_decisions();
    switch.exchange("b");
    reach(switch, "b", "a", &[(Port("tcp", 8080), false)]);
}

#[test]
fn flows_that_are_lost_come_back_and_those_of_a_guest_that_is_gone_go() {
    let Some(stage) = stage() else { return };
    let (host, switch, _) = &stage;
    set(&stage, &[rule("inbound", "TCP", "<RANGE>80</RANGE>")], "");
    let count = switch.flows();
    assert!(count > 0);
    switch.ofctl(&["add-flow", "xenbr0", "cookie=0x7,priority=7,in_port=7,actions=drop"]);
    // Said again nothing changes; after a restart of the switch any script puts them back, and so does monitoring.
    set(&stage, &[rule("inbound", "TCP", "<RANGE>80</RANGE>")], "");
    assert_eq!(switch.flows(), count);
    switch.ofctl(&["del-flows", "xenbr0", "cookie=0x4f4e000000000000/0xffff000000000000"]);
    assert_eq!(switch.flows(), 0);
    host.forget_calls();
    // Another VM's NIC has nothing to do with it.
    let other = vm(&[rule("inbound", "ALL", ""), rule("outbound", "ALL", "")], "")
        .replace("02:00:0a:09:00:01", "02:00:0a:09:00:99");
    run(host, "clean", &["xcp-a"], &other).ok();
    assert_eq!(switch.flows(), count);
    assert!(host.calls().is_empty(), "its file tells the filter: {:?}", host.calls());
    switch.forget_decisions();
    reach(switch, "b", "a", &[(Port("tcp", 80), true), (Port("tcp", 81), false)]);
    // Without the file XAPI does.
    for file in std::fs::read_dir(host.path("state")).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("filter-") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    switch.ofctl(&["del-flows", "xenbr0", "cookie=0x4f4e000000000000/0xffff000000000000"]);
    run(host, "clean", &["xcp-a"], &other).ok();
    assert_eq!(switch.flows(), count);

    switch.vsctl(&["del-port", "vif1.0"]);
    let listed = host.one_xcp(&["gc"]).ok();
    let flows = format!("leftover flows of bridge xenbr0: {count} of NICs that this host does not have");
    assert!(listed.contains(&flows), "{listed}");
    assert_eq!(switch.flows(), count);
    run(host, "clean", &["xcp-a"], &vm(&[rule("inbound", "TCP", "<RANGE>80</RANGE>")], "")).ok();
    assert_eq!(switch.flows(), 0);
    assert!(switch.ofctl(&["dump-flows", "xenbr0"]).contains("cookie=0x7"), "somebody else's stay");
}

#[test]
fn gc_removes_flows_of_nobody() {
    let Some(stage) = stage() else { return };
    let (host, switch, _) = &stage;
    set(&stage, &[rule("inbound", "TCP", "<RANGE>80</RANGE>")], "");
    let said = host.one_xcp(&["gc", "--yes"]).ok();
    assert!(!said.contains("flows") && switch.flows() > 0, "{said}");
    switch.vsctl(&["del-port", "vif1.0"]);
    let said = host.one_xcp(&["gc", "--yes"]).ok();
    assert!(said.contains("removed  flows of bridge xenbr0"), "{said}");
    assert_eq!(switch.flows(), 0);
}

#[test]
fn monitoring_gives_a_guest_that_has_rebooted_its_flows() {
    let Some(stage) = stage() else { return };
    let (host, switch, _) = &stage;
    set(&stage, &[rule("inbound", "TCP", "<RANGE>80</RANGE>")], "");
    let before = switch.cookies();
    let control = host.path("remotes/im/xcp.d/monitord-client_control.sh");
    let monitoring =
        Recorded::load("run_monitord_client").with("<STATE_VM><![CDATA[5]]>", "<STATE_VM><![CDATA[1]]>");
    // On a busy machine the client may not begin in time, as monitord would try again.
    Switch::wait("the monitoring client", || {
        said(host.command(&control).args(["xcp", "0", "xcp-a"]), &monitoring.stdin).code == Some(0)
    });
    // Its domain is another, and so is its port.
    switch.plug_anew("vif1.0");
    Switch::wait("the flows of the new port", || switch.cookies().difference(&before).next().is_some());
    said(host.command(&control).args(["stop", "xcp", "0"]), b"").ok();
    switch.forget_decisions();
    reach(switch, "b", "a", &[(Port("tcp", 80), true), (Port("tcp", 81), false)]);
}

#[test]
fn whatever_call_of_update_sg_fails_the_rules_are_the_old_or_the_new_ones_and_done_again_the_new() {
    let Some(stage) = stage() else { return };
    let (host, switch, uuid) = &stage;
    let rules = |port: &str| vec![rule("inbound", "TCP", &format!("<RANGE>{port}</RANGE>"))];
    // From open to closed, so that the VIF's lock changes as well.
    let closed = vm(&rules("80"), "");
    let other = vm(&[], "").replace("02:00:0a:09:00:01", "02:00:0a:09:00:99");
    let action = |host: &Host| {
        let mut command = host.command(host.path("remotes/vnm/xcp/update_sg"));
        command.arg(uuid);
        (command, closed.clone().into_bytes())
    };
    let vif = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "--minimal"]);
    let filter = || {
        let field =
            |name: &str| host.xe(&["vif-param-get", &format!("uuid={vif}"), &format!("param-name={name}")]);
        (field("locking-mode") == "locked", field("other-config").contains("one_filter: v1"))
    };
    steps::each_call(host, &[Wrong::Refused, Wrong::AnswerLost, Wrong::Killed], &action, &|host, step| {
        let (is_locked, has_filter) = filter();
        assert_eq!(is_locked, has_filter, "{step:?}");
        assert!(has_filter || step.said.code != Some(0), "{step:?}");
        // Whoever looks next makes what XAPI says: open without a flow, or closed with all of them.
        run(host, "clean", &["xcp-a"], &other).ok();
        assert_eq!(switch.flows() > 0, has_filter, "{step:?}");
        run(host, "update_sg", &[uuid], &closed).ok();
        assert_eq!(filter(), (true, true), "{step:?}");
        assert!(switch.flows() > 0);
    });
}

#[test]
fn a_filtered_nic_without_a_port_is_an_error_and_its_vif_is_closed_from_the_start() {
    let Some(switch) = Switch::start() else { return };
    let host = Host::new().set("OVS_RUNDIR", switch.dir());
    let uuid = host.deploy().ok();
    let rules = [rule("inbound", "TCP", "<RANGE>80</RANGE>")];
    let error = run(&host, "post", &[&uuid, "xcp-a"], &vm(&rules, "")).failure();
    assert!(error.contains("NIC 0 of VM") && error.contains("has no port in the host's switch"), "{error}");
    // `pre` of a VM that is started again closes what was open.
    let mac = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "params=MAC", "--minimal"]);
    let text = vm(&rules, "").replace("02:00:0a:09:00:01", &mac);
    let text = text.replace("c9848f7a-3f1d-4174-b025-29d0c717d455", &uuid);
    run(&host, "pre", &[], &text).ok();
    let vif = host.xe(&["vif-list", &format!("vm-uuid={uuid}"), "--minimal"]);
    let field =
        |name: &str| host.xe(&["vif-param-get", &format!("uuid={vif}"), &format!("param-name={name}")]);
    assert_eq!((field("locking-mode").as_str(), field("ipv4-allowed").as_str()), ("locked", ""));
    assert!(field("other-config").contains("one_filter: v1 "), "{}", field("other-config"));
}
