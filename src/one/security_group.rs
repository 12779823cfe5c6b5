//! Rules of security groups (SECURITY_GROUP_RULE), as oned writes them into a VM's template: those of each group of
//! each NIC, networks already resolved to addresses (vnm_mad/remotes/lib/security_groups.rb tells what they mean).

use super::{Element, Nic};
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What a rule lets pass. Everything that no rule lets pass is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub direction: Direction,
    pub protocol: Protocol,
    /// Whom the guest may talk with; none: everybody.
    pub peers: Option<Vec<Addresses>>,
}

/// Seen from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    All,
    /// The destination's ports; none: all.
    Tcp(Vec<RangeInclusive<u16>>),
    Udp(Vec<RangeInclusive<u16>>),
    Icmp(Option<IcmpType>),
    Icmpv6(Option<IcmpType>),
    /// ESP.
    Ipsec,
}

/// Without a code all codes of the type are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType {
    pub kind: u8,
    pub code: Option<u8>,
}

/// Addresses that follow each other (IP and SIZE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub first: IpAddr,
    pub count: u64,
}

/// The rules of the NIC's groups. A NIC without groups lets everything pass, as with OpenNebula's own drivers.
pub fn rules_of(template: &Element, nic: &Nic) -> Result<Vec<Rule>> {
    let is_of_nic =
        |rule: &&Element| nic.security_groups.iter().any(|group| group == rule.text("SECURITY_GROUP_ID"));
    template.all("SECURITY_GROUP_RULE").filter(is_of_nic).map(Rule::read).collect()
}

/// Whether everything may pass in both directions.
pub fn is_open(rules: &[Rule], nic: &Nic) -> bool {
    let passes = |direction: Direction| {
        let all = |rule: &Rule| {
            rule.direction == direction && rule.protocol == Protocol::All && rule.peers.is_none()
        };
        rules.iter().any(all)
    };
    nic.security_groups.is_empty() || (passes(Direction::Inbound) && passes(Direction::Outbound))
}

impl Rule {
    fn read(rule: &Element) -> Result<Rule> {
        let direction = rule.text("RULE_TYPE");
        let direction = match direction.to_ascii_lowercase().as_str() {
            "inbound" => Direction::Inbound,
            "outbound" => Direction::Outbound,
            _ => bail!("{}/RULE_TYPE is {direction:?}, and neither inbound nor outbound", rule.path()),
        };
        let protocol = protocol(rule)?;
        Ok(Rule { direction, protocol, peers: peers(rule)? })
    }
}

fn protocol(rule: &Element) -> Result<Protocol> {
    let name = rule.text("PROTOCOL");
    Ok(match name.to_ascii_uppercase().as_str() {
        "ALL" => Protocol::All,
        "TCP" => Protocol::Tcp(ports(rule)?),
        "UDP" => Protocol::Udp(ports(rule)?),
        "ICMP" => Protocol::Icmp(icmp_type(rule, "ICMP_TYPE")?),
        "ICMPV6" => Protocol::Icmpv6(icmp_type(rule, "ICMPV6_TYPE")?),
        "IPSEC" => Protocol::Ipsec,
        _ => bail!("{}/PROTOCOL is {name:?}; there are ALL, TCP, UDP, ICMP, ICMPV6 and IPSEC", rule.path()),
    })
}

/// `80,443,1000:2000`, as iptables' multiport takes it.
fn ports(rule: &Element) -> Result<Vec<RangeInclusive<u16>>> {
    let text = rule.text("RANGE");
    let wrong = || format!("{}/RANGE is {text:?}: ports are given as 80,443,1000:2000", rule.path());
    let one = |piece: &str| -> Result<RangeInclusive<u16>> {
        let (first, last) = piece.split_once([':', '-']).unwrap_or((piece, piece));
        let first: u16 = if first.is_empty() { 0 } else { first.parse()? };
        let last: u16 = if last.is_empty() { u16::MAX } else { last.parse()? };
        ensure!(first <= last && piece.len() > 1 || piece.parse::<u16>().is_ok(), "no range of ports");
        Ok(first..=last)
    };
    let pieces = text.split(',').map(str::trim).filter(|_| !text.is_empty());
    pieces.map(one).collect::<Result<_>>().with_context(wrong)
}

/// `8`, or `3/4` with a code.
fn icmp_type(rule: &Element, name: &str) -> Result<Option<IcmpType>> {
    let text = rule.text(name);
    if text.is_empty() {
        return Ok(None);
    }
    let (kind, code) = text.split_once('/').map_or((text, None), |(kind, code)| (kind, Some(code)));
    let read = || -> Result<IcmpType> {
        Ok(IcmpType { kind: kind.trim().parse()?, code: code.map(|code| code.trim().parse()).transpose()? })
    };
    read()
        .map(Some)
        .with_context(|| format!("{}/{name} is {text:?}: it is a type, or type/code", rule.path()))
}

fn peers(rule: &Element) -> Result<Option<Vec<Addresses>>> {
    const NAMES: [&str; 4] = ["IP", "IP6_GLOBAL", "IP6_ULA", "IP6"];
    let given = || NAMES.iter().filter(|name| !rule.text(name).is_empty());
    let count: Option<u64> = rule.get("SIZE")?;
    if given().next().is_none() && count.is_none() {
        return Ok(None);
    }
    let count =
        count.with_context(|| format!("{}/SIZE is missing: it says how many addresses", rule.path()))?;
    let one = |name: &&str| -> Result<Addresses> {
        let text = rule.text(name);
        let first: IpAddr = text
            .parse()
            .with_context(|| format!("{}/{name} is {text:?}, which is no address", rule.path()))?;
        Ok(Addresses { first, count })
    };
    given().map(one).collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<Rule> {
        let text = format!("<SECURITY_GROUP_RULE>{fields}</SECURITY_GROUP_RULE>");
        Rule::read(&Element::parse("the rule", &text).unwrap())
    }

    fn tcp(range: &str) -> Result<Rule> {
        read(&format!("<PROTOCOL>TCP</PROTOCOL><RULE_TYPE>inbound</RULE_TYPE><RANGE>{range}</RANGE>"))
    }

    #[test]
    fn ports_are_read_as_iptables_reads_them() {
        let ports = |range: &str| match tcp(range).unwrap().protocol {
            Protocol::Tcp(ports) => ports,
            other => panic!("{other:?}"),
        };
        assert_eq!(ports("80,443"), [80..=80, 443..=443]);
        assert_eq!(ports("1000:2000,:5,60000:"), [1000..=2000, 0..=5, 60000..=65535]);
        assert!(ports("").is_empty());
        for wrong in ["70000", "20:10", "http", ",", ":", "1,,2"] {
            let error = format!("{:#}", tcp(wrong).unwrap_err());
            assert!(error.starts_with("SECURITY_GROUP_RULE/RANGE is"), "{error}");
        }
    }

    #[test]
    fn addresses_need_their_count_and_none_means_everybody() {
        let base = "<PROTOCOL>UDP</PROTOCOL><RULE_TYPE>OUTBOUND</RULE_TYPE>";
        assert_eq!(read(base).unwrap().peers, None);
        let peers = read(&format!("{base}<IP>10.0.0.0</IP><SIZE>256</SIZE>")).unwrap().peers.unwrap();
        assert_eq!(peers, [Addresses { first: "10.0.0.0".parse().unwrap(), count: 256 }]);
        // A network with both families.
        let both = format!("{base}<IP>10.0.0.1</IP><IP6_GLOBAL>2001:db8::1</IP6_GLOBAL><SIZE>2</SIZE>");
        assert_eq!(read(&both).unwrap().peers.unwrap().len(), 2);
        assert!(read(&format!("{base}<IP>10.0.0.1</IP>")).is_err());
        assert!(read(&format!("{base}<IP>10.0.0</IP><SIZE>1</SIZE>")).is_err());
        assert!(read("<PROTOCOL>GRE</PROTOCOL><RULE_TYPE>inbound</RULE_TYPE>").is_err());
        assert!(read("<PROTOCOL>ALL</PROTOCOL><RULE_TYPE>both</RULE_TYPE>").is_err());
    }
}
