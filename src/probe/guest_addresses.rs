//! The addresses that a guest says it has. Guests write whatever they like there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A guest with more than that tells nonsense.
const MOST: usize = 64;

/// Reads XAPI's `networks` of a VM: `0/ip: 10.0.0.2; 0/ipv4/0: 10.0.0.2; 0/ipv6/0: fe80::1` (xapi
/// xapi_guest_agent.ml:99). Anything else in it, and the guest has told nothing.
pub fn read(networks: &str) -> Vec<IpAddr> {
    if networks.starts_with('<') {
        return Vec::new();
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for pair in networks.split("; ").filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once(':') else { return Vec::new() };
        // A NIC without an address.
        let Some(value) = value.strip_prefix(' ').filter(|value| !value.is_empty()) else { continue };
        let Some(address) = address(key, value) else { return Vec::new() };
        if !found.contains(&address) && !address.is_unspecified() && !address.is_loopback() {
            found.push(address);
        }
    }
    found.truncate(MOST);
    found
}

/// `1/ipv6/0` and an address of that family.
fn address(key: &str, value: &str) -> Option<IpAddr> {
    let is_number =
        |text: &str| !text.is_empty() && text.len() < 6 && text.bytes().all(|b| b.is_ascii_digit());
    let (vif, rest) = key.split_once('/')?;
    let (family, index) = rest.split_once('/').unwrap_or((rest, "0"));
    if !is_number(vif) || !is_number(index) {
        return None;
    }
    match family {
        "ip" | "ipv4" => value.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "ipv6" => value.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn told(networks: &str) -> String {
        read(networks).iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn each_address_is_told_once() {
        let networks =
            "0/ipv6/0: fe80:0000:0000:0000:5054:00ff:fe00:0001; 0/ip: 10.0.0.2; 0/ipv4/0: 10.0.0.2; 1/ip: ";
        assert_eq!(told(networks), "fe80::5054:ff:fe00:1,10.0.0.2");
        assert_eq!(told("0/ip: 127.0.0.1; 0/ipv6/0: ::1; 1/ip: 10.1.0.2"), "10.1.0.2");
        for nothing in ["", "<not in database>", "0/ip: "] {
            assert_eq!(told(nothing), "", "{nothing}");
        }
    }

    #[test]
    fn a_guest_that_writes_anything_else_has_told_nothing() {
        for forged in [
            "0/ip: 10.0.0.2\n",
            "0/ip: 10.0.0.2\nuuid ( RO)    : 00000000-0000-4000-8000-000000000001",
            "0/ip: 10.0.0.2\"",
            "0/ip: 10.0.0.2; 1/ip: x ]",
            "0/ip: 10.0.0.2; DEPLOY_ID=\"x\"",
            "0/ip: 10.0.0.2\0",
            "0/ip: 10.0.0.2; 0/mac: 00:00:00:00:00:00",
            "x/ip: 10.0.0.2",
            "0/ip: fe80::1",
            "0/ipv6/0: fe80::1%eth0",
            "0/ip: 10.0.0.2\u{fffd}",
            "0/ip:10.0.0.2; 1/ip: 10.1.0.2,10.1.0.3",
        ] {
            assert_eq!(told(forged), "", "{forged:?}");
        }
    }

    #[test]
    fn a_guest_that_writes_much_is_cut_short() {
        let networks: Vec<String> =
            (0..1000).map(|n| format!("0/ipv4/{n}: 10.0.{}.{}", n / 250, n % 250 + 1)).collect();
        assert_eq!(read(&networks.join("; ")).len(), super::MOST);
    }
}
