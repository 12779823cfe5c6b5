//! The flows of one bridge: what its guarded NICs let pass.
//!
//! Whatever comes from or goes to a guarded NIC is looked at before the bridge's other flows (XAPI's own of locked VIFs,
//! a controller's), and goes on to them if it may pass:
//!
//! | table | what it does |
//! |---|---|
//! | 0 | tells whom a frame comes from, and on which VLAN |
//! | 200 | what a guarded guest sends: its own addresses, ARP, neighbour discovery and DHCP pass |
//! | 201 | connections it begins: the outbound rules |
//! | 202 | whether it goes to a guarded guest; ARP, neighbour discovery and DHCP pass |
//! | 203 | connections to that guest: the inbound rules |
//! | 204 | it may pass |
//!
//! Register 0 is set for what has been looked at, 1 is the VLAN's tag + 1 (untagged: 1), 2 is set for what a guarded
//! guest sends, 3 and 4 are the keys of the NIC it comes from and of the one it goes to.

use super::prefixes;
use crate::one::security_group::{Addresses, Direction, IcmpType, Protocol, Rule};
use crate::translate::filter::Filter;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// The upper 16 bits of the cookies of our flows.
pub const COOKIE: u64 = 0x4f4e << 48;
pub const COOKIE_MASK: u64 = 0xffff << 48;

/// The key of the flows that belong to no NIC; a NIC's is less (domains have numbers up to 32751).
const BRIDGE_KEY: u32 = 0xff_ffff;

/// Frames without a tag, and those with a tag for their priority alone, which the switch takes for the same.
const UNTAGGED: [&str; 2] = [",vlan_tci=0x0000/0x1000", ",dl_vlan=0"];

const OUT: u8 = 200;
const OUT_NEW: u8 = 201;
const IN: u8 = 202;
const IN_NEW: u8 = 203;
const PASS: u8 = 204;

/// A NIC with a filter: all ports of the bridge that are its own, the paravirtual and the emulated one.
#[derive(Clone, Debug)]
pub struct Guarded<'a> {
    /// Of no other NIC of the host.
    pub key: u32,
    pub ofports: Vec<u32>,
    /// 0 is untagged.
    pub tag: u16,
    pub filter: &'a Filter,
}

/// Any other port of the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    pub ofport: u32,
    /// Of an access port; none where frames come with their tags, or without one.
    pub tag: Option<u16>,
}

/// Flows that belong together, all with the same cookie. It changes with what they say.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    pub cookie: u64,
    /// Without `cookie=`.
    pub flows: Vec<String>,
}

/// All flows of ours that the bridge is to have: none without a guarded NIC.
pub fn of_bridge(nics: &[Guarded<'_>], others: &[Other]) -> Vec<Set> {
    if nics.is_empty() {
        return Vec::new();
    }
    let mut sets: Vec<Set> = nics.iter().map(|nic| set(nic.key, of_nic(nic))).collect();
    sets.push(set(BRIDGE_KEY, shared(nics, others)));
    sets
}

/// A flow that says the same as another is left out: the switch has it once, and who counts must get the same number.
fn set(key: u32, mut flows: Vec<String>) -> Set {
    let mut seen = HashSet::new();
    flows.retain(|flow| seen.insert(flow.split(",actions=").next().unwrap_or_default().to_owned()));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in flows.iter().flat_map(|flow| flow.bytes().chain([b'\n'])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let hash = (hash ^ (hash >> 32)) & 0xff_ffff;
    Set { cookie: COOKIE | u64::from(key) << 24 | hash, flows }
}

/// Whose frames come from where, for all NICs of the bridge together.
fn shared(nics: &[Guarded<'_>], others: &[Other]) -> Vec<String> {
    let mut flows = vec![
        format!("table={PASS},priority=100,reg2=1,actions=NORMAL"),
        format!("table={PASS},priority=1,actions=resubmit(,0)"),
        format!("table={IN},priority=1,actions=resubmit(,{PASS})"),
    ];
    // Without a flow that matches, a switch with a controller of OpenFlow 1.2 or older would ask that.
    flows.extend([OUT, OUT_NEW, IN_NEW].map(|table| format!("table={table},priority=0,actions=drop")));
    for port in others {
        let from = |matches: &str, tag: u16| {
            let actions = looked_at(tag);
            format!("table=0,priority=60020,reg0=0,in_port={}{matches},actions={actions}", port.ofport)
        };
        match port.tag {
            Some(tag) => flows.push(from("", tag)),
            None => flows.extend(UNTAGGED.map(|matches| from(matches, 0))),
        }
    }
    let mut tags: Vec<u16> = nics.iter().map(|nic| nic.tag).filter(|tag| *tag > 0).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        flows.push(format!("table=0,priority=60010,reg0=0,dl_vlan={tag},actions={}", looked_at(tag)));
    }
    // From a port that came since: which VLAN is its own nobody knows. Two NICs on different VLANs may have one address.
    let mut unknown: BTreeMap<&str, bool> = BTreeMap::new();
    for nic in nics {
        *unknown.entry(&nic.filter.mac).or_default() |= nic.tag == 0;
    }
    for (mac, is_untagged) in unknown {
        let actions = if is_untagged { looked_at(0) } else { "drop".to_owned() };
        for matches in UNTAGGED {
            flows.push(format!("table=0,priority=60005,reg0=0{matches},dl_dst={mac},actions={actions}"));
        }
    }
    flows
}

fn looked_at(tag: u16) -> String {
    format!("load:1->NXM_NX_REG0[],load:{}->NXM_NX_REG1[],resubmit(,{IN})", tag + 1)
}

fn of_nic(nic: &Guarded<'_>) -> Vec<String> {
    let mut flows = Vec::new();
    inbound(nic, &mut flows);
    outbound(nic, &mut flows);
    for ofport in &nic.ofports {
        flows.push(format!(
            "table=0,priority=60030,reg0=0,in_port={ofport},actions=load:1->NXM_NX_REG0[],load:{}->NXM_NX_REG1[],\
             load:1->NXM_NX_REG2[],load:{}->NXM_NX_REG3[],resubmit(,{OUT})",
            nic.tag + 1,
            nic.key
        ));
    }
    flows
}

/// Connections of two NICs of this host are known apart: what one has let pass says nothing of the other.
fn zone(key: u32) -> u32 {
    (key / 256 * 8 + key % 256) % 65535 + 1
}

fn outbound(nic: &Guarded<'_>, flows: &mut Vec<String>) {
    let (key, filter) = (nic.key, nic.filter);
    let mut add = |table: u8, priority: u32, matches: &str, actions: &str| {
        flows.push(format!("table={table},priority={priority},reg3={key}{matches},actions={actions}"));
    };
    let to_in = format!("resubmit(,{IN})");
    let track = format!("ct(table={OUT_NEW},zone={})", zone(key));
    let own = if filter.checks_mac { format!(",dl_src={}", filter.mac) } else { String::new() };
    let arp = if filter.checks_mac { format!("{own},arp_sha={}", filter.mac) } else { String::new() };
    let ipv4: Vec<&IpAddr> = filter.addresses.iter().filter(|address| address.is_ipv4()).collect();
    let ipv6: Vec<&IpAddr> = filter.addresses.iter().filter(|address| address.is_ipv6()).collect();

    // A guest's frames have no tags: the switch gives them the one of its network.
    add(OUT, 100, ",vlan_tci=0x1000/0x1000", "drop");
    if filter.checks_ip {
        for address in &ipv4 {
            add(OUT, 90, &format!(",arp{arp},arp_spa={address}"), &to_in);
            add(OUT, 80, &format!(",ip{own},nw_src={address}"), &track);
        }
        // Asking whether an address is free, and for one.
        add(OUT, 90, &format!(",arp{arp},arp_spa=0.0.0.0"), &to_in);
        add(OUT, 90, &format!(",udp{own},nw_src=0.0.0.0,tp_src=68,tp_dst=67"), &to_in);
        for address in &ipv4 {
            add(OUT, 90, &format!(",udp{own},nw_src={address},tp_src=68,tp_dst=67"), &to_in);
        }
        for address in &ipv6 {
            add(OUT, 90, &format!(",icmp6{own},icmpv6_type=136,nd_target={address}"), &to_in);
            add(OUT, 90, &format!(",udp6{own},ipv6_src={address},tp_src=546,tp_dst=547"), &to_in);
            add(OUT, 80, &format!(",ipv6{own},ipv6_src={address}"), &track);
            for kind in [133, 135] {
                add(OUT, 90, &format!(",icmp6{own},icmpv6_type={kind},ipv6_src={address}"), &to_in);
            }
        }
        if !ipv6.is_empty() {
            for kind in [133, 135] {
                add(OUT, 90, &format!(",icmp6{own},icmpv6_type={kind},ipv6_src=::"), &to_in);
            }
        }
        // An answer for somebody else's address is none of the rules' business.
        add(OUT, 85, ",icmp6,icmpv6_type=136", "drop");
    } else {
        add(OUT, 90, &format!(",arp{arp}"), &to_in);
        add(OUT, 90, &format!(",udp{own},tp_src=68,tp_dst=67"), &to_in);
        add(OUT, 90, &format!(",udp6{own},tp_src=546,tp_dst=547"), &to_in);
        for kind in [133, 135, 136] {
            add(OUT, 90, &format!(",icmp6{own},icmpv6_type={kind}"), &to_in);
        }
        add(OUT, 80, &format!(",ip{own}"), &track);
        add(OUT, 80, &format!(",ipv6{own}"), &track);
    }

    add(OUT_NEW, 100, ",ct_state=+trk+inv", "drop");
    add(OUT_NEW, 90, ",ct_state=+trk+est", &to_in);
    add(OUT_NEW, 90, ",ct_state=+trk+rel", &to_in);
    let begin = format!("ct(commit,zone={}),resubmit(,{IN})", zone(key));
    for matches in
        filter.rules.iter().filter(|rule| rule.direction == Direction::Outbound).flat_map(matches_of)
    {
        add(OUT_NEW, 80, &format!(",ct_state=+trk+new,{matches}"), &begin);
    }
}

fn inbound(nic: &Guarded<'_>, flows: &mut Vec<String>) {
    let (key, filter) = (nic.key, nic.filter);
    let pass = format!("resubmit(,{PASS})");
    let mut new = |priority: u32, matches: &str, actions: &str| {
        flows.push(format!("table={IN_NEW},priority={priority},reg4={key}{matches},actions={actions}"));
    };
    new(100, ",ct_state=+trk+inv", "drop");
    new(90, ",ct_state=+trk+est", &pass);
    new(90, ",ct_state=+trk+rel", &pass);
    let begin = format!("ct(commit,zone={}),resubmit(,{PASS})", zone(key));
    for matches in
        filter.rules.iter().filter(|rule| rule.direction == Direction::Inbound).flat_map(matches_of)
    {
        new(80, &format!(",ct_state=+trk+new,{matches}"), &begin);
    }

    let to = format!("reg1={}", nic.tag + 1);
    let mut add = |priority: u32, matches: &str, actions: &str| {
        flows.push(format!("table={IN},priority={priority},{to},{matches},actions={actions}"));
    };
    let mac = format!("dl_dst={}", filter.mac);
    let track = format!("load:{key}->NXM_NX_REG4[],ct(table={IN_NEW},zone={})", zone(key));
    add(90, &format!("arp,{mac}"), &pass);
    for kind in [134, 135, 136, 137] {
        add(90, &format!("icmp6,{mac},icmpv6_type={kind}"), &pass);
    }
    add(90, &format!("udp,{mac},tp_src=67,tp_dst=68"), &pass);
    add(90, &format!("udp6,{mac},tp_src=547,tp_dst=546"), &pass);
    add(80, &format!("ip,{mac}"), &track);
    add(80, &format!("ipv6,{mac}"), &track);
    add(70, &mac, "drop");
    // A guest takes what is for its own address out of frames that are for all.
    for address in &filter.addresses {
        let (family, field) = if address.is_ipv4() { ("ip", "nw_dst") } else { ("ipv6", "ipv6_dst") };
        add(85, &format!("{family},dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,{field}={address}"), &track);
    }
}

/// What a rule lets pass, each as a match of its own.
fn matches_of(rule: &Rule) -> Vec<String> {
    let icmp = |family: &str, kind: Option<IcmpType>| {
        let Some(IcmpType { kind, code }) = kind else { return vec![String::new()] };
        let code = code.map_or(String::new(), |code| format!(",{family}_code={code}"));
        vec![format!("{family}_type={kind}{code}")]
    };
    let families: Vec<(&str, bool, Vec<String>)> = match &rule.protocol {
        Protocol::All => vec![("ip", true, vec![String::new()]), ("ipv6", false, vec![String::new()])],
        Protocol::Tcp(ports) => both("tcp", "tcp6", &prefixes::of_ports(ports)),
        Protocol::Udp(ports) => both("udp", "udp6", &prefixes::of_ports(ports)),
        Protocol::Icmp(kind) => vec![("icmp", true, icmp("icmp", *kind))],
        Protocol::Icmpv6(kind) => vec![("icmp6", false, icmp("icmpv6", *kind))],
        Protocol::Ipsec => both("ip", "ipv6", &["nw_proto=50".to_owned()]),
    };
    let mut matches = Vec::new();
    for (name, is_ipv4, details) in families {
        for peer in peers(rule, is_ipv4) {
            for detail in &details {
                let parts = [name, peer.as_str(), detail.as_str()];
                matches.push(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(","));
            }
        }
    }
    matches
}

fn both<'a>(ipv4: &'a str, ipv6: &'a str, details: &[String]) -> Vec<(&'a str, bool, Vec<String>)> {
    vec![(ipv4, true, details.to_vec()), (ipv6, false, details.to_vec())]
}

/// The other side, of one family; one empty text for everybody.
fn peers(rule: &Rule, is_ipv4: bool) -> Vec<String> {
    let Some(peers) = &rule.peers else { return vec![String::new()] };
    let field = match (rule.direction, is_ipv4) {
        (Direction::Inbound, true) => "nw_src",
        (Direction::Inbound, false) => "ipv6_src",
        (Direction::Outbound, true) => "nw_dst",
        (Direction::Outbound, false) => "ipv6_dst",
    };
    let of_family = |peer: &&Addresses| peer.first.is_ipv4() == is_ipv4;
    let networks = peers.iter().filter(of_family).flat_map(prefixes::of_addresses);
    networks.map(|net| if net.ends_with("/0") { String::new() } else { format!("{field}={net}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &str) -> Filter {
        Filter::parse(&format!("v1 02:00:0a:00:00:01 -mi -10.0.0.1,fe80::1{rules}")).unwrap()
    }

    fn guarded(filter: &Filter, key: u32, tag: u16) -> Guarded<'_> {
        Guarded { key, ofports: vec![key], tag, filter }
    }

    fn new_inbound(rules: &str) -> Vec<String> {
        let filter = filter(rules);
        let flows = set(256, of_nic(&guarded(&filter, 256, 0))).flows;
        let start = "table=203,priority=80,reg4=256,ct_state=+trk+new,";
        let of_rules = flows.iter().filter_map(|flow| flow.strip_prefix(start)?.split_once(",actions="));
        of_rules.map(|(matches, _)| matches.to_owned()).collect()
    }

    #[test]
    fn each_form_of_rule_matches_what_it_says() {
        assert_eq!(new_inbound(" i@all@@*"), ["ip", "ipv6"]);
        assert_eq!(new_inbound(" i@tcp@80-80@*"), ["tcp,tp_dst=80", "tcp6,tp_dst=80"]);
        assert_eq!(new_inbound(" i@udp@@10.0.0.0+256"), ["udp,nw_src=10.0.0.0/24"]);
        assert_eq!(new_inbound(" i@icmp@8/0@*"), ["icmp,icmp_type=8,icmp_code=0"]);
        assert_eq!(
            new_inbound(" i@icmp6@128@2001:db8::+2"),
            ["icmp6,ipv6_src=2001:db8::/127,icmpv6_type=128"]
        );
        assert_eq!(new_inbound(" i@esp@@*"), ["ip,nw_proto=50", "ipv6,nw_proto=50"]);
        assert_eq!(
            new_inbound(" i@tcp@80-80@* i@tcp@80-80,81-81@10.0.0.1+1 i@tcp@80-80@0.0.0.0+4294967296"),
            [
                "tcp,tp_dst=80",
                "tcp6,tp_dst=80",
                "tcp,nw_src=10.0.0.1/32,tp_dst=80",
                "tcp,nw_src=10.0.0.1/32,tp_dst=81",
            ]
        );
        // One that names nobody lets nobody pass, and outbound rules are no inbound ones.
        assert_eq!(new_inbound(" i@all@@ o@all@@*"), [""; 0]);
    }

    #[test]
    fn flows_grow_with_the_rules_alone() {
        let count = |vms: u32, rules: usize| {
            let rules: Vec<String> = (0..rules).map(|port| format!(" i@tcp@{port}-{port}@*")).collect();
            let filter = filter(&rules.concat());
            let nics: Vec<Guarded<'_>> = (1..=vms).map(|number| guarded(&filter, number * 256, 0)).collect();
            of_bridge(&nics, &[]).iter().map(|set| set.flows.len()).sum::<usize>()
        };
        let (one, two, three) = (count(50, 10), count(50, 20), count(50, 30));
        assert_eq!(two - one, three - two);
        assert_eq!(two - one, 50 * 10 * 2);
        assert_eq!(count(2, 10) - count(1, 10), count(3, 10) - count(2, 10));
    }

    #[test]
    fn cookies_are_ours_and_change_with_what_the_flows_say() {
        let (one, other) = (filter(" i@tcp@80-80@*"), filter(" i@tcp@81-81@*"));
        let cookies = |filter: &Filter| -> Vec<u64> {
            of_bridge(&[guarded(filter, 256, 50)], &[]).iter().map(|set| set.cookie).collect()
        };
        assert_ne!(cookies(&one)[0], cookies(&other)[0]);
        assert_eq!(cookies(&one)[1], cookies(&other)[1]);
        assert!(cookies(&one).iter().all(|cookie| cookie & COOKIE_MASK == COOKIE));
        assert!(of_bridge(&[], &[Other { ofport: 1, tag: None }]).is_empty());
    }

    #[test]
    fn the_same_address_on_two_vlans_is_two_guests() {
        let filter = filter("");
        let nics = [guarded(&filter, 256, 50), guarded(&filter, 512, 60)];
        let sets = of_bridge(&nics, &[Other { ofport: 9, tag: Some(60) }, Other { ofport: 8, tag: None }]);
        let flows: Vec<&String> = sets.iter().flat_map(|set| &set.flows).collect();
        let matches: HashSet<&str> =
            flows.iter().map(|flow| flow.split_once(",actions=").unwrap().0).collect();
        assert_eq!(matches.len(), flows.len(), "no flow takes another's place");
        let has = |text: &str| flows.iter().any(|flow| flow.starts_with(text));
        assert!(
            has("table=202,priority=80,reg1=51,ip,dl_dst=")
                && has("table=202,priority=80,reg1=61,ip,dl_dst=")
        );
        assert!(has("table=0,priority=60020,reg0=0,in_port=9,actions=load:1->NXM_NX_REG0[],load:61->"));
        // A trunk's frames are on the VLAN of their tag, and on none with a tag for their priority alone.
        assert!(
            has("table=0,priority=60010,reg0=0,dl_vlan=60,")
                && !has("table=0,priority=60020,reg0=0,in_port=8,actions")
        );
        assert!(has(
            "table=0,priority=60020,reg0=0,in_port=8,dl_vlan=0,actions=load:1->NXM_NX_REG0[],load:1->"
        ));
    }
}
