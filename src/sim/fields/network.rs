//! Fields of networks, PIFs and VLANs (xapi `records.ml` `net_record`, `pif_record`, `vlan_record`).

use super::{Field, Get, Members, NOWHERE, Pairs, Set, mro, mrw, referring, ro, rw, sro, srw, word};
use crate::sim::pool::Pool;
use crate::sim::refuse::Outcome;
use crate::sim::row::{Class, Row};

/// Networks.
pub const NETWORK: &[Field] = &[
    ro("uuid", Get::Kept),
    rw("name-label", Get::Kept, Set::Text),
    rw("name-description", Get::Kept, Set::Text),
    sro("VIF-uuids", Members::Made(|pool, row| referring(pool, Class::Vif, "network-uuid", row))),
    sro("PIF-uuids", Members::Made(|pool, row| referring(pool, Class::Pif, "network-uuid", row))),
    rw("MTU", Get::Kept, Set::Integer),
    ro("bridge", Get::Kept),
    ro("managed", Get::Kept),
    mrw("other-config"),
    ro("blobs", Get::Always("")),
    srw("tags", ", ", false),
    rw("default-locking-mode", Get::Kept, Set::Own(default_locking_mode)),
    srw("purpose", ", ", false),
];

fn default_locking_mode(pool: &mut Pool, uuid: &str, value: &str) -> Outcome<()> {
    let words = [("unlocked", "unlocked"), ("disabled", "disabled")];
    let kept = word(&words, value, || super::expected(&words, value))?;
    pool.set(Class::Network, uuid, "default-locking-mode", kept)
}

/// PIFs.
pub const PIF: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("device", Get::Kept),
    ro("MAC", Get::Kept).caseless(),
    ro("physical", Get::Kept),
    ro("managed", Get::Kept),
    ro("currently-attached", Get::Kept),
    ro("MTU", Get::Kept),
    ro("VLAN", Get::Kept),
    ro("vlan-master-of", Get::Made(|pool, row| vlans(pool, "untagged-PIF", row, NOWHERE))),
    ro("vlan-slave-of", Get::Made(|pool, row| vlans(pool, "tagged-PIF", row, ""))),
    ro("bond-master-of", Get::Always("")),
    ro("bond-slave-of", Get::Always(NOWHERE)),
    ro("sriov-physical-PIF-of", Get::Always("")),
    ro("sriov-logical-PIF-of", Get::Always("")),
    ro("tunnel-access-PIF-of", Get::Always("")),
    ro("tunnel-transport-PIF-of", Get::Always("")),
    ro("management", Get::Kept),
    ro("network-uuid", Get::Uuid(Class::Network)),
    ro("network-name-label", Get::NameOf("network-uuid", Class::Network)),
    ro("host-uuid", Get::Uuid(Class::Host)),
    ro("host-name-label", Get::NameOf("host-uuid", Class::Host)),
    ro("IP-configuration-mode", Get::Kept),
    ro("IP", Get::Kept),
    ro("netmask", Get::Kept),
    ro("gateway", Get::Kept),
    ro("IPv6-configuration-mode", Get::Always("None")),
    ro("IPv6", Get::Always("")),
    ro("IPv6-gateway", Get::Always("")),
    ro("primary-address-type", Get::Always("IPv4")),
    ro("DNS", Get::Kept),
    mro("properties", Pairs::Kept),
    sro("capabilities", Members::Kept),
    ro("io_read_kbs", Get::Always("0.000")).expensive(),
    ro("io_write_kbs", Get::Always("0.000")).expensive(),
    ro("carrier", Get::Always("true")),
    ro("vendor-id", Get::Always("8086")),
    ro("vendor-name", Get::Always("Intel Corporation")),
    ro("device-id", Get::Always("1521")),
    ro("device-name", Get::Always("I350 Gigabit Network Connection")),
    ro("speed", Get::Always("1000 Mbit/s")),
    ro("duplex", Get::Always("full")),
    rw("disallow-unplug", Get::Kept, Set::Flag),
    ro("pci-bus-path", Get::Kept),
    mrw("other-config"),
    ro("igmp-snooping-status", Get::Always("unknown")),
];

fn vlans(pool: &Pool, name: &'static str, row: &Row, none: &str) -> String {
    let vlans = pool.referring_uuids(Class::Vlan, name, &row.uuid);
    if vlans.is_empty() { none.to_owned() } else { vlans.join("; ") }
}

/// VLANs.
pub const VLAN: &[Field] = &[
    ro("uuid", Get::Kept),
    ro("tagged-PIF", Get::Uuid(Class::Pif)),
    ro("untagged-PIF", Get::Uuid(Class::Pif)),
    ro("tag", Get::Kept),
];
