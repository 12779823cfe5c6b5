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
        set("locking-mode", "locked".to_owned());
        for (field, addresses) in [("ipv4-allowed", &nic.ipv4), ("ipv6-allowed", &nic.ipv6)] {
            if !addresses.is_empty() {
                set(field, addresses.join(","));
            }
        }
    }
    params
}

/// XAPI has one lock for both filters: only frames from the VIF's MAC and its allowed addresses pass. Without
/// an address nothing would.
pub fn is_locked(nic: &Nic) -> bool {
    nic.filters_ip_spoofing && !(nic.ipv4.is_empty() && nic.ipv6.is_empty())
}
