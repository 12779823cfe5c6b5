//! A NIC's limits and filters → a VIF's parameters.

use crate::one::Nic;

/// Parameters for `vif-param-set`.
pub fn params(nic: &Nic) -> Vec<(String, String)> {
    let mut params = Vec::new();
    let mut set = |key: &str, value: String| params.push((key.to_owned(), value));
    if let Some(kbytes_s) = nic.outbound_avg_kbytes_s {
        // XAPI's "kbps" are kilobytes a second, as OpenNebula's (xcp-ng documentation, networking).
        set("qos_algorithm_type", "ratelimit".to_owned());
        set("qos_algorithm_params:kbps", kbytes_s.to_string());
    }
    if is_locked(nic) {
        params.extend(filter(nic).into_iter().filter(|(_, value)| !value.is_empty()));
    }
    params
}

/// The filter of a VIF that may have had another before.
pub fn filter(nic: &Nic) -> Vec<(String, String)> {
    let (mode, ipv4, ipv6) = if is_locked(nic) {
        ("locked", nic.ipv4.join(","), nic.ipv6.join(","))
    } else {
        ("network_default", String::new(), String::new())
    };
    let filter = [("locking-mode", mode.to_owned()), ("ipv4-allowed", ipv4), ("ipv6-allowed", ipv6)];
    filter.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// XAPI has one lock for both filters: only frames from the VIF's MAC and its allowed addresses pass. Without
/// an address nothing would.
pub fn is_locked(nic: &Nic) -> bool {
    nic.filters_ip_spoofing && !(nic.ipv4.is_empty() && nic.ipv6.is_empty())
}
