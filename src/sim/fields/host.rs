//! Fields of hosts (xapi `records.ml` `host_record`).

use super::{Field, Get, Members, NOWHERE, Pairs, Set, mro, mrw, referring, ro, rw, sro, srw};
use crate::sim::lifecycle;
use crate::sim::row::{Class, Row};

/// The table.
pub const HOST: &[Field] = &[
    ro("uuid", Get::Kept),
    rw("name-label", Get::Kept, Set::Text),
    rw("name-description", Get::Kept, Set::Text),
    sro("allowed-operations", Members::Made(|_, row| allowed_operations(row))),
    sro("current-operations", Members::Kept),
    ro("enabled", Get::Kept),
    ro("display", Get::Always("enabled")),
    ro("API-version-major", Get::Always("2")),
    ro("API-version-minor", Get::Always("21")),
    ro("API-version-vendor", Get::Always("XenSource")),
    mro("API-version-vendor-implementation", Pairs::Kept),
    mrw("logging"),
    rw("suspend-image-sr-uuid", Get::Uuid(Class::Sr), Set::Uuid(Class::Sr)),
    rw("crash-dump-sr-uuid", Get::Uuid(Class::Sr), Set::Uuid(Class::Sr)),
    mro("software-version", Pairs::Kept),
    sro("capabilities", Members::Made(|_, _| words(CAPABILITIES))),
    mrw("other-config"),
    mro("cpu_info", Pairs::Kept),
    mro("chipset-info", Pairs::Kept),
    ro("hostname", Get::Kept),
    ro("address", Get::Kept),
    rw("https-only", Get::Kept, Set::Flag),
    sro("supported-bootloaders", Members::Made(|_, _| words(&["pygrub", "eliloader"]))),
    ro("blobs", Get::Always("")),
    ro("memory-overhead", Get::Always("0")),
    ro("memory-total", Get::Kept),
    ro("memory-free", Get::Made(|pool, row| lifecycle::free_memory(pool, row).to_string())),
    ro("memory-free-computed", Get::Made(|pool, row| lifecycle::free_memory(pool, row).to_string()))
        .expensive(),
    ro("host-metrics-live", Get::Always("true")),
    sro("patches", Members::Kept).deprecated(),
    sro("updates", Members::Kept),
    ro("ha-statefiles", Get::Always("")),
    ro("ha-network-peers", Get::Always("")),
    ro("external-auth-type", Get::Always("")),
    ro("external-auth-service-name", Get::Always("")),
    mro("external-auth-configuration", Pairs::Kept),
    ro("edition", Get::Always("xcp-ng")),
    mro("license-server", Pairs::Kept),
    ro("power-on-mode", Get::Always("")),
    mro("power-on-config", Pairs::Kept),
    ro("local-cache-sr", Get::Always(NOWHERE)),
    srw("tags", ", ", false),
    rw("ssl-legacy", Get::Always("false"), Set::Flag),
    mrw("guest_VCPUs_params"),
    sro("virtual-hardware-platform-versions", Members::Made(|_, _| words(&["0", "1", "2"]))),
    ro("control-domain-uuid", Get::Uuid(Class::Vm)),
    sro("resident-vms", Members::Made(|pool, row| referring(pool, Class::Vm, "resident-on", row))),
    sro("updates-requiring-reboot", Members::Kept),
    sro("features", Members::Kept),
    rw("iscsi_iqn", Get::Kept, Set::Text),
    rw("multipathing", Get::Kept, Set::Flag),
    rw("numa-affinity-policy", Get::Made(|_, row| numa(row)), Set::Text),
    ro("pending-guidances", Get::Always("")),
    ro("tls-verification-enabled", Get::Always("false")),
    ro("last-software-update", Get::Always("19700101T00:00:00Z")),
    ro("latest-synced-updates-applied", Get::Always("unknown")),
    ro("pending-guidances-recommended", Get::Always("")),
    ro("pending-guidances-full", Get::Always("")),
    ro("last-update-hash", Get::Always("")),
];

const CAPABILITIES: &[&str] = &["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64"];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn allowed_operations(row: &Row) -> Vec<String> {
    if row.is("enabled") {
        words(&["VM.migrate", "provision", "VM.resume", "enable", "evacuate", "VM.start"])
    } else {
        words(&["VM.migrate", "evacuate", "enable", "reboot", "shutdown"])
    }
}

fn numa(row: &Row) -> String {
    let policy = row.get("numa-affinity-policy");
    if policy.is_empty() { "default_policy".into() } else { policy.to_owned() }
}
