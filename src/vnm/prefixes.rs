//! Ranges as values with masks, which is how flows match.

use crate::one::security_group::Addresses;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// The fewest `value/length` that hold the addresses and no other. Addresses past the end of the family are none.
pub fn of_addresses(addresses: &Addresses) -> Vec<String> {
    match addresses.first {
        IpAddr::V4(first) => blocks(u128::from(u32::from(first)), u128::from(addresses.count), 32)
            .map(|(value, length)| {
                format!("{}/{length}", Ipv4Addr::from(u32::try_from(value).unwrap_or_default()))
            })
            .collect(),
        IpAddr::V6(first) => blocks(u128::from(first), u128::from(addresses.count), 128)
            .map(|(value, length)| format!("{}/{length}", Ipv6Addr::from(value)))
            .collect(),
    }
}

/// The fewest `value/mask` that hold the ports and no other; one empty text for all of them.
pub fn of_ports(ranges: &[RangeInclusive<u16>]) -> Vec<String> {
    let is_all = ranges.is_empty() || ranges.contains(&(0..=u16::MAX));
    if is_all {
        return vec![String::new()];
    }
    let of_range = |range: &RangeInclusive<u16>| {
        let count = u128::from(range.end() - range.start()) + 1;
        blocks(u128::from(*range.start()), count, 16).map(|(value, length)| {
            let mask = if length == 0 { 0 } else { u16::MAX << (16 - length) };
            if length == 16 { format!("tp_dst={value}") } else { format!("tp_dst={value:#x}/{mask:#x}") }
        })
    };
    ranges.iter().flat_map(of_range).collect()
}

/// Splits `count` values from `first` on into aligned blocks, as (first value, length of the prefix in `bits`).
fn blocks(first: u128, count: u128, bits: u32) -> impl Iterator<Item = (u128, u32)> {
    let last_value = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    let mut next = (count > 0).then_some(first);
    let last = first.saturating_add(count.saturating_sub(1)).min(last_value);
    std::iter::from_fn(move || {
        let start = next?;
        let left = last - start;
        // The largest block that begins here and ends in the range.
        let fitting = if left == u128::MAX { 128 } else { (left + 1).ilog2() };
        let size = start.trailing_zeros().min(bits).min(fitting);
        let end = if size == 128 { u128::MAX } else { start + ((1 << size) - 1) };
        next = (end < last).then(|| end + 1);
        Some((start, bits - size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(first: &str, count: u64) -> Vec<String> {
        of_addresses(&Addresses { first: first.parse().unwrap(), count })
    }

    #[test]
    fn addresses_become_networks_that_hold_just_them() {
        assert_eq!(addresses("10.0.0.0", 256), ["10.0.0.0/24"]);
        assert_eq!(addresses("10.0.0.1", 1), ["10.0.0.1/32"]);
        assert_eq!(addresses("192.168.50.10", 6), ["192.168.50.10/31", "192.168.50.12/30"]);
        assert_eq!(addresses("255.255.255.254", 9), ["255.255.255.254/31"]);
        assert_eq!(addresses("0.0.0.0", 1 << 32), ["0.0.0.0/0"]);
        assert_eq!(addresses("2001:db8::ffff", 2), ["2001:db8::ffff/128", "2001:db8::1:0/128"]);
        assert!(addresses("10.0.0.1", 0).is_empty());
    }

    #[test]
    fn every_range_of_ports_holds_just_its_own() {
        for (first, last) in [(0, 65534), (1, 65535), (80, 80), (1000, 2000), (1024, 65535), (32767, 32768)] {
            let masks = of_ports(&[first..=last]);
            assert!(masks.len() <= 30, "{masks:?}");
            let number = |text: &str| {
                let hex = text.strip_prefix("0x").map(|hex| u16::from_str_radix(hex, 16).unwrap());
                hex.unwrap_or_else(|| text.parse().unwrap())
            };
            for port in 0..=u16::MAX {
                let matched = masks.iter().filter(|mask| {
                    let mask = mask.strip_prefix("tp_dst=").unwrap();
                    let (value, mask) = mask.split_once('/').unwrap_or((mask, "0xffff"));
                    port & number(mask) == number(value)
                });
                assert_eq!(matched.count(), usize::from((first..=last).contains(&port)), "{port}");
            }
        }
        assert_eq!(of_ports(&[]), [""]);
    }
}
