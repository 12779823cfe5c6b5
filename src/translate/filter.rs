//! What may pass a NIC: security groups and spoofing filters, as the switch's flows are made from, and as the text that a
//! VIF carries in `other-config`, so that every host of the pool knows it.

use crate::one::security_group::{self, Addresses, Direction, IcmpType, Protocol, Rule};
use crate::one::{Element, Nic};
use crate::report::Result;
use crate::translate::vif;
use anyhow::{Context, bail, ensure};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The key of a VIF's `other-config` with the filter's text.
pub const KEY: &str = "one_filter";

/// The text of a VIF without a filter.
pub const NONE: &str = "none";

/// The first word of the text: other versions may write it otherwise.
const VERSION: &str = "v1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub mac: String,
    pub checks_mac: bool,
    pub checks_ip: bool,
    /// Those the guest may use, of both families.
    pub addresses: Vec<IpAddr>,
    pub rules: Vec<Rule>,
}

impl Filter {
    /// The filter of a NIC of the driver `xcp`; none where everything may pass, or XAPI's own lock does all that is asked.
    pub fn of(template: &Element, nic: &Nic) -> Result<Option<Filter>> {
        if !nic.is_of_xcp() {
            return Ok(None);
        }
        let mut rules = security_group::rules_of(template, nic)?;
        let is_open = security_group::is_open(&rules, nic);
        let needs_mac = nic.filters_mac_spoofing && !vif::is_locked(nic);
        let has_no_address = nic.filters_ip_spoofing && !vif::is_locked(nic);
        if is_open && !needs_mac && !has_no_address {
            return Ok(None);
        }
        ensure!(is_mac(&nic.mac), "{}/MAC is {:?}: a filter needs the address of the NIC", nic.path, nic.mac);
        if nic.security_groups.is_empty() {
            let open = |direction| Rule { direction, protocol: Protocol::All, peers: None };
            rules = vec![open(Direction::Inbound), open(Direction::Outbound)];
        }
        let given = nic.ipv4.iter().chain(&nic.ipv6);
        let addresses = given.map(|text| {
            text.parse::<IpAddr>().with_context(|| format!("{}: {text:?} is no address", nic.path))
        });
        Ok(Some(Filter {
            mac: nic.mac.clone(),
            checks_mac: nic.filters_mac_spoofing,
            checks_ip: nic.filters_ip_spoofing,
            addresses: addresses.collect::<Result<_>>()?,
            rules,
        }))
    }

    /// As the VIF carries it.
    pub fn to_text(&self) -> String {
        let flag = |is_set: bool, letter: &'static str| if is_set { letter } else { "" };
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        let mut text = format!(
            "{VERSION} {} -{}{} -{}",
            self.mac,
            flag(self.checks_mac, "m"),
            flag(self.checks_ip, "i"),
            addresses.join(",")
        );
        for rule in &self.rules {
            _ = write!(text, " {}", rule_text(rule));
        }
        text
    }

    /// Reads what [`Filter::to_text`] wrote.
    pub fn parse(text: &str) -> Result<Filter> {
        let mut words = text.split(' ');
        let mut next = || words.next().context("it ends early");
        let version = next()?;
        ensure!(version == VERSION, "it is of version {version:?}, and this program knows {VERSION}");
        let mac = next()?.to_owned();
        ensure!(is_mac(&mac), "{mac:?} is no MAC address");
        let flags = next()?;
        let addresses = next()?.strip_prefix('-').context("no addresses")?;
        Ok(Filter {
            mac,
            checks_mac: flags.contains('m'),
            checks_ip: flags.contains('i'),
            addresses: list(addresses, |address| Ok(address.parse()?))?,
            rules: words.map(rule).collect::<Result<_>>()?,
        })
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok())
}

/// `i@tcp@80-80,443-443@10.0.0.0+256`; `*` stands for every peer.
fn rule_text(rule: &Rule) -> String {
    let direction = if rule.direction == Direction::Inbound { "i" } else { "o" };
    let ports = |ports: &[RangeInclusive<u16>]| {
        let ports: Vec<String> =
            ports.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
        ports.join(",")
    };
    let icmp = |kind: &Option<IcmpType>| match kind {
        None => String::new(),
        Some(IcmpType { kind, code: None }) => kind.to_string(),
        Some(IcmpType { kind, code: Some(code) }) => format!("{kind}/{code}"),
    };
    let (protocol, detail) = match &rule.protocol {
        Protocol::All => ("all", String::new()),
        Protocol::Tcp(range) => ("tcp", ports(range)),
        Protocol::Udp(range) => ("udp", ports(range)),
        Protocol::Icmp(kind) => ("icmp", icmp(kind)),
        Protocol::Icmpv6(kind) => ("icmp6", icmp(kind)),
        Protocol::Ipsec => ("esp", String::new()),
    };
    let peers = rule.peers.as_ref().map_or("*".to_owned(), |peers| {
        let peers: Vec<String> = peers.iter().map(|peer| format!("{}+{}", peer.first, peer.count)).collect();
        peers.join(",")
    });
    format!("{direction}@{protocol}@{detail}@{peers}")
}

fn rule(word: &str) -> Result<Rule> {
    let parts: Vec<&str> = word.split('@').collect();
    let [direction, protocol, detail, peers] = parts.as_slice() else { bail!("{word:?} is no rule") };
    let read_ports = || {
        list(detail, |range| {
            let (first, last) = range.split_once('-').context("no range of ports")?;
            Ok(first.parse()?..=last.parse()?)
        })
    };
    let read_icmp = || -> Result<Option<IcmpType>> {
        let (kind, code) = detail.split_once('/').map_or((*detail, None), |(kind, code)| (kind, Some(code)));
        let read = || Ok(IcmpType { kind: kind.parse()?, code: code.map(str::parse).transpose()? });
        if detail.is_empty() { Ok(None) } else { read().map(Some) }
    };
    let peer = |text: &str| {
        let (first, count) = text.split_once('+').context("no addresses")?;
        Ok(Addresses { first: first.parse()?, count: count.parse()? })
    };
    Ok(Rule {
        direction: match *direction {
            "i" => Direction::Inbound,
            "o" => Direction::Outbound,
            _ => bail!("{word:?} has no direction"),
        },
        protocol: match *protocol {
            "all" => Protocol::All,
            "tcp" => Protocol::Tcp(read_ports()?),
            "udp" => Protocol::Udp(read_ports()?),
            "icmp" => Protocol::Icmp(read_icmp()?),
            "icmp6" => Protocol::Icmpv6(read_icmp()?),
            "esp" => Protocol::Ipsec,
            _ => bail!("{word:?} has no protocol"),
        },
        peers: if *peers == "*" { None } else { Some(list(peers, peer)?) },
    })
}

fn list<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    text.split(',').filter(|_| !text.is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The template of a VM with one NIC in group 7.
    fn template(nic: &str, rules: &str) -> Element {
        let text = format!(
            "<TEMPLATE><NIC><NIC_ID>0</NIC_ID><MAC>02:00:0A:00:00:01</MAC><IP>10.0.0.1</IP>{nic}</NIC>{rules}</TEMPLATE>"
        );
        Element::parse("the template", &text).unwrap()
    }

    fn filter(nic: &str, rules: &str) -> Option<Filter> {
        let template = template(nic, rules);
        Filter::of(&template, &Nic::all(&template).unwrap()[0]).unwrap()
    }

    const NIC: &str = "<VN_MAD>xcp</VN_MAD><SECURITY_GROUPS>7</SECURITY_GROUPS>";
    const RULES: &str = "<SECURITY_GROUP_RULE><SECURITY_GROUP_ID>7</SECURITY_GROUP_ID><PROTOCOL>TCP</PROTOCOL>\
        <RULE_TYPE>inbound</RULE_TYPE><RANGE>80,443</RANGE></SECURITY_GROUP_RULE>\
        <SECURITY_GROUP_RULE><SECURITY_GROUP_ID>7</SECURITY_GROUP_ID><PROTOCOL>ICMPV6</PROTOCOL>\
        <RULE_TYPE>outbound</RULE_TYPE><ICMPV6_TYPE>128/0</ICMPV6_TYPE><IP6>2001:db8::1</IP6><SIZE>300</SIZE></SECURITY_GROUP_RULE>\
        <SECURITY_GROUP_RULE><SECURITY_GROUP_ID>8</SECURITY_GROUP_ID><PROTOCOL>ALL</PROTOCOL>\
        <RULE_TYPE>outbound</RULE_TYPE></SECURITY_GROUP_RULE>";

    #[test]
    fn the_text_says_all_of_it_and_cannot_be_taken_for_several_entries_of_a_map() {
        let filter = filter(NIC, RULES).unwrap();
        let text = filter.to_text();
        assert_eq!(
            text,
            "v1 02:00:0a:00:00:01 - -10.0.0.1 i@tcp@80-80,443-443@* o@icmp6@128/0@2001:db8::1+300"
        );
        assert!(!text.contains("; ") && !text.contains(": "));
        assert_eq!(Filter::parse(&text).unwrap(), filter);
        for cut in 0..text.len() {
            // It never reads as a filter that lets more pass.
            if let Ok(shorter) = Filter::parse(&text[..cut]) {
                assert!(shorter.rules.len() <= filter.rules.len());
            }
        }
        assert!(Filter::parse("v2 x").is_err());
    }

    #[test]
    fn open_groups_need_no_flows_and_a_group_without_rules_lets_nothing_pass() {
        let open = ["inbound", "outbound"].map(|direction| {
            format!("<SECURITY_GROUP_RULE><SECURITY_GROUP_ID>7</SECURITY_GROUP_ID><PROTOCOL>ALL</PROTOCOL><RULE_TYPE>{direction}</RULE_TYPE></SECURITY_GROUP_RULE>")
        });
        assert_eq!(filter(NIC, &open.concat()), None);
        assert!(filter(NIC, &open[0]).is_some());
        assert!(filter(NIC, "").unwrap().rules.is_empty());
        assert_eq!(filter("<VN_MAD>dummy</VN_MAD><SECURITY_GROUPS>7</SECURITY_GROUPS>", ""), None);
        // XAPI's own lock does the one, and not the other.
        let both = open.concat();
        let spoofing = |which: &str| {
            filter(&format!("{NIC}<FILTER_{which}_SPOOFING>YES</FILTER_{which}_SPOOFING>"), &both)
        };
        assert_eq!(spoofing("IP"), None);
        assert!(spoofing("MAC").unwrap().checks_mac);
    }
}
