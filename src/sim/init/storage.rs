//! The SRs: one shared, one on each host, the guest tools'.

use super::{GIB, Making};
use crate::sim::row::{Class, Row};

impl Making<'_> {
    /// Makes the SRs; gives back the one that is the pool's default.
    pub(super) fn storage(&mut self, standalone: bool) -> String {
        let hosts = self.hosts.clone();
        let mut default = None;
        if !standalone {
            let sr = self.sr("Shared NFS", "nfs", 4096 * GIB, &hosts);
            default = Some(sr);
        }
        for host in hosts.clone() {
            let sr = self.sr("Local storage", "ext", 500 * GIB, &[host]);
            default.get_or_insert(sr);
        }
        let tools = self.sr("XenServer Tools", "iso", 0, &hosts);
        let mut iso = self.row(Class::Vdi, "guest-tools.iso");
        iso.set("name-description", "XCP-ng guest tools");
        iso.set("sr-uuid", tools);
        iso.set("virtual-size", "45088768");
        iso.set("location", "guest-tools.iso");
        iso.set("read-only", "true");
        iso.set("is-tools-iso", "true");
        self.pool.insert(iso);
        default.unwrap_or_default()
    }

    pub(super) fn sr(&mut self, name: &str, kind: &'static str, size: i64, hosts: &[String]) -> String {
        let mut sr = self.row(Class::Sr, name);
        sr.set("type", kind);
        sr.set("physical-size", size.to_string());
        match kind {
            "nfs" => sr.set("shared", "true"),
            "iso" => {
                sr.set("shared", "true");
                sr.set("content-type", "iso");
                sr.set("is-tools-sr", "true");
                sr.set("name-description", "XCP-ng Tools ISOs");
            }
            _ => {}
        }
        for host in hosts {
            let mut pbd = Row::new(Class::Pbd, self.pool.new_uuid());
            pbd.set("sr-uuid", sr.uuid.to_string());
            pbd.set("host-uuid", host.clone());
            let config: &[(&str, &str)] = match kind {
                "nfs" => &[("serverpath", "/export/xcp"), ("server", "192.168.10.250")],
                "iso" => &[("location", "/opt/xensource/packages/iso"), ("legacy_mode", "true")],
                _ => &[("device", "/dev/sda3")],
            };
            for (key, value) in config {
                pbd.put("device-config", key, *value);
            }
            self.pool.insert(pbd);
        }
        let uuid = sr.uuid.to_string();
        self.pool.insert(sr);
        uuid
    }
}
