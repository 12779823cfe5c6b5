//! The hosts, each with its control domain.

use super::{GIB, Making};
use crate::sim::row::Class;

impl Making<'_> {
    pub(super) fn host(&mut self, number: u32) -> String {
        let letter = char::from(b'a' + u8::try_from(number).unwrap_or(0));
        let name = format!("xcp-{letter}");
        let mut domain = self.row(Class::Vm, &format!("Control domain on host: {name}"));
        let mut host = self.row(Class::Host, &name);
        host.set("name-description", "Default install");
        host.set("hostname", name);
        host.set("address", format!("192.168.10.{}", number + 1));
        host.set("memory-total", (16 * GIB).to_string());
        host.set("control-domain-uuid", domain.uuid.to_string());
        for (field, entries) in
            [("software-version", SOFTWARE), ("cpu_info", CPU), ("other-config", HOST_OTHER)]
        {
            for (key, value) in entries.iter().rev() {
                host.put(field, key, *value);
            }
        }
        host.put("chipset-info", "iommu", "true");
        host.put("license-server", "port", "27000");
        host.put("license-server", "address", "localhost");
        domain.set("name-description", "The domain which manages physical devices and manages other domains");
        domain.set("is-control-domain", "true");
        domain.set("power-state", "running");
        domain.set("resident-on", host.uuid.to_string());
        domain.set("domain-type", "pv");
        domain.set("current-domain-type", "pv");
        domain.set("HVM-boot-policy", "");
        domain.set("dom-id", "0");
        for name in ["VCPUs-max", "VCPUs-at-startup", "VCPUs-number"] {
            domain.set(name, "4");
        }
        for name in [
            "memory-static-max",
            "memory-dynamic-max",
            "memory-dynamic-min",
            "memory-actual",
            "memory-target",
        ] {
            domain.set(name, (2 * GIB).to_string());
        }
        domain.put("other-config", "is_system_domain", "true");
        let uuid = host.uuid.to_string();
        self.pool.insert(domain);
        self.pool.insert(host);
        uuid
    }
}

const SOFTWARE: &[(&str, &str)] = &[
    ("product_version", "8.3.0"),
    ("product_version_text", "8.3"),
    ("product_version_text_short", "8.3"),
    ("platform_name", "XCP"),
    ("platform_version", "3.4.0"),
    ("product_brand", "XCP-ng"),
    ("build_number", "cloud"),
    ("git_id", "0"),
    ("hostname", "localhost"),
    ("date", "20250606T09:00:00Z"),
    ("dbv", "0.0.1"),
    ("xapi", "25.6"),
    ("xapi_build", "25.6.0"),
    ("xen", "4.17.5-13"),
    ("linux", "4.19.0+1"),
    ("xencenter_min", "2.21"),
    ("xencenter_max", "2.21"),
    ("network_backend", "openvswitch"),
    ("db_schema", "5.786"),
];

pub(super) const CPU: &[(&str, &str)] = &[
    ("cpu_count", "8"),
    ("socket_count", "1"),
    ("threads_per_core", "1"),
    ("vendor", "GenuineIntel"),
    ("speed", "2400.000"),
    ("modelname", "Intel(R) Xeon(R) CPU E5-2630 v3 @ 2.40GHz"),
    ("family", "6"),
    ("model", "63"),
    ("stepping", "2"),
    (
        "flags",
        "fpu de tsc msr pae mce cx8 apic sep mca cmov pat clflush acpi mmx fxsr sse sse2 ht syscall nx lm constant_tsc",
    ),
    ("features_pv", FEATURES),
    ("features_hvm", FEATURES),
    ("features_hvm_host", FEATURES),
    ("features_pv_host", FEATURES),
];

const FEATURES: &str = "1fcbfbff-f7fa3223-2d93fbff-00000523-00000001-000007ab-00000000-00000100-00001000-0c000000-\
                        00000000-00000000";

const HOST_OTHER: &[(&str, &str)] = &[("agent_start_time", "1767225600."), ("boot_time", "1767225500.")];
