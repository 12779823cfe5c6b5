//! Some of the templates that come with XCP-ng.

use super::{GIB, Making};
use crate::sim::row::{Class, Row};

impl Making<'_> {
    pub(super) fn templates(&mut self) {
        let description = "Template which allows VM installation from install media";
        let other = self.template("Other install media", description, "other-install-media", 256 << 20, &[]);
        self.pool.insert(other);
        let description = "Template that allows VM installation from Xen-aware Debian-based distros.";
        let mut debian = self.template(
            "Debian Bookworm 12",
            description,
            "debian-12",
            2 * GIB,
            &[("linux_template", "true"), ("disks", DEBIAN_DISKS)],
        );
        debian.put("HVM-boot-params", "order", "cdn");
        debian.put("HVM-boot-params", "firmware", "uefi");
        debian.put("platform", "viridian", "false");
        debian.put("platform", "device-model", "qemu-upstream-uefi");
        self.pool.insert(debian);
        let description =
            "Clones of this template will automatically provision their storage when first booted";
        let mut windows = self.template(
            "Windows Server 2022 (64-bit)",
            description,
            "windows-server-2022",
            4 * GIB,
            &[("disks", WINDOWS_DISKS)],
        );
        windows.set("VCPUs-max", "2");
        windows.set("VCPUs-at-startup", "2");
        windows.put("HVM-boot-params", "firmware", "uefi");
        for (key, value) in
            [("secureboot", "auto"), ("device-model", "qemu-upstream-uefi"), ("device_id", "0002")]
        {
            windows.put("platform", key, value);
        }
        self.pool.insert(windows);
    }

    pub(super) fn template(
        &mut self,
        name: &str,
        description: &'static str,
        label: &'static str,
        memory: i64,
        other: &[(&str, &'static str)],
    ) -> Row {
        let mut row = self.row(Class::Vm, name);
        row.set("name-description", description);
        row.set("reference-label", label);
        row.set("is-a-template", "true");
        row.set("is-default-template", "true");
        row.set("recommendations", RECOMMENDATIONS);
        row.set("memory-static-min", (memory / 2).to_string());
        for name in ["memory-static-max", "memory-dynamic-max", "memory-dynamic-min"] {
            row.set(name, memory.to_string());
        }
        row.put("other-config", "install-methods", "cdrom");
        row.put("other-config", "default_template", "true");
        for (key, value) in other {
            row.put("other-config", key, *value);
        }
        for (key, value) in [("order", "cd"), ("firmware", "bios")] {
            row.put("HVM-boot-params", key, value);
        }
        for key in ["hpet", "pae", "apic"] {
            row.put("platform", key, "true");
        }
        for (key, value) in [("acpi", "1"), ("nx", "true"), ("secureboot", "false"), ("viridian", "true")] {
            row.put("platform", key, value);
        }
        row
    }
}

const DEBIAN_DISKS: &str =
    r#"<provision><disk device="0" size="10737418240" sr="" bootable="true" type="system"/></provision>"#;

const WINDOWS_DISKS: &str =
    r#"<provision><disk device="0" size="34359738368" sr="" bootable="true" type="system"/></provision>"#;

const RECOMMENDATIONS: &str = concat!(
    r#"<restrictions><restriction field="memory-static-max" max="1649267441664"/>"#,
    r#"<restriction field="vcpus-max" max="64"/><restriction field="has-vendor-device" value="false"/>"#,
    r#"<restriction field="supports-bios" value="yes"/><restriction field="supports-uefi" value="yes"/>"#,
    r#"<restriction field="supports-secure-boot" value="yes"/><restriction property="number-of-vbds" max="255"/>"#,
    r#"<restriction property="number-of-vifs" max="7"/></restrictions>"#
);
