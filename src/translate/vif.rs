//! A NIC's limits and filters → a VIF's parameters.

use crate::one::{Element, Nic};
use crate::report::Result;
use crate::translate::filter::{Filter, KEY, NONE};
use crate::xe::network::Vif;

/// Parameters for `vif-param-set` of a new VIF.
pub fn params(nic: &Nic, template: &Element) -> Result<Vec<(String, String)>> {
    let mut params = if nic.outbound_avg_kbytes_s.is_some() { limit(nic) } else { Vec::new() };
    if let Some(filter) = Filter::of(template, nic)? {
        params.extend(closed(&filter));
    } else if is_locked(nic) {
        params.extend(filter(nic).into_iter().filter(|(_, value)| !value.is_empty()));
    }
    Ok(params)
}

/// The same for one that is there, and may have had another filter before.
pub fn params_again(nic: &Nic, template: &Element, there: &Vif) -> Result<Vec<(String, String)>> {
    let mut params = params(nic, template)?;
    if Filter::of(template, nic)?.is_none() && there.other_config(KEY).is_some_and(|text| text != NONE) {
        params.extend(open(nic));
    }
    Ok(params)
}

/// A VIF whose frames the switch's flows let pass, and nobody else: XAPI's lock without an address lets nothing out but
/// DHCP and ARP probes (xenopsd, scripts/setup-vif-rules). So it is until its flows are there, and whenever they are lost.
/// The filter comes first: a VIF that is closed always has one.
pub fn closed(filter: &Filter) -> Vec<(String, String)> {
    let mut params = vec![(format!("other-config:{KEY}"), filter.to_text())];
    for (field, value) in [("locking-mode", "locked"), ("ipv4-allowed", ""), ("ipv6-allowed", "")] {
        params.push((field.to_owned(), value.to_owned()));
    }
    params
}

/// A VIF that has been [`closed`] and needs no flows any more.
pub fn open(nic: &Nic) -> Vec<(String, String)> {
    let mut params = filter(nic);
    params.push((format!("other-config:{KEY}"), NONE.to_owned()));
    params
}

/// What a guest may send a second, of a VIF that may have had another limit before. XAPI's "kbps" are kilobytes a second,
/// as OpenNebula's (xcp-ng documentation, networking).
pub fn limit(nic: &Nic) -> Vec<(String, String)> {
    let pair = |key: &str, value: String| (key.to_owned(), value);
    match nic.outbound_avg_kbytes_s {
        Some(kbytes_s) => vec![
            pair("qos_algorithm_type", "ratelimit".to_owned()),
            pair("qos_algorithm_params:kbps", kbytes_s.to_string()),
        ],
        None => vec![pair("qos_algorithm_type", String::new())],
    }
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
