//! The pool that `one-xcp sim init` makes: the same every time, as XCP-ng 8.3 reports itself.

use super::pool::Pool;
use super::refuse::Outcome;
use super::row::{Class, Row};
use super::storage;
use super::store::Store;
use super::verbs;
use anyhow::{Result, ensure};
use clap::Args;

/// What may differ from the usual pool.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Options {
    /// How many hosts the pool has.
    #[arg(long, default_value_t = 2)]
    pub hosts: u32,
    /// Running VMs that look like `OpenNebula`'s (`one-1` …), spread over the hosts.
    #[arg(long, default_value_t = 0)]
    pub vms: u32,
    /// A pool of one host without shared storage.
    #[arg(long, conflicts_with = "hosts")]
    pub standalone: bool,
    /// The password of `root` for `xe -s HOST`.
    #[arg(long, default_value = "xen")]
    pub password: String,
    /// No guest has PV drivers, unless `sim guest` says so.
    #[arg(long)]
    pub no_tools: bool,
    /// SRs grow disks in use, as no SR does with `xapi` 7.3 to 25.6.
    #[arg(long)]
    pub online_resize: bool,
    /// Another pool than the usual one: its hosts are `xcp-m` (192.168.10.13) …, and no uuid is the same.
    #[arg(long)]
    pub other: bool,
}

/// Where the counters of `--other` begin: its hosts' letters, and its uuids.
const OTHER_HOST: u32 = 12;
const OTHER_COUNTER: u64 = 1 << 20;

const GIB: i64 = 1 << 30;

/// Makes the pool and stores it.
pub fn init(store: &Store, options: &Options) -> Result<()> {
    let letters = if options.other { 26 - OTHER_HOST } else { 26 };
    ensure!((1..=letters).contains(&options.hosts), "a simulated pool has 1 to {letters} hosts");
    let mut pool = Pool::default();
    pool.password.clone_from(&options.password);
    pool.no_tools = options.no_tools;
    pool.counter = if options.other { OTHER_COUNTER } else { 0 };
    let hosts = if options.standalone { 1 } else { options.hosts };
    let made = Making { pool: &mut pool, hosts: Vec::new() }.all(hosts, options);
    if options.online_resize {
        for sr in pool.rows(Class::Sr).iter().map(|sr| sr.uuid.to_string()).collect::<Vec<_>>() {
            _ = pool.set(Class::Sr, &sr, storage::GROWS_ONLINE, "true");
        }
    }
    made.map_err(|fail| anyhow::anyhow!("cannot make the pool: {}", fail.said(false).stderr))?;
    store.make(&pool)
}

struct Making<'p> {
    pool: &'p mut Pool,
    hosts: Vec<String>,
}

impl Making<'_> {
    fn all(mut self, hosts: u32, options: &Options) -> Outcome<()> {
        let pool_uuid = self.pool.new_uuid();
        let first = if options.other { OTHER_HOST } else { 0 };
        for number in first..first + hosts {
            let host = self.host(number);
            self.hosts.push(host);
        }
        self.networks();
        let shared = self.storage(options.standalone);
        let mut pool = Row::new(Class::Pool, pool_uuid);
        pool.set("name-label", if options.standalone { "" } else { "xcp" });
        pool.set("master", self.hosts.first().cloned().unwrap_or_default());
        pool.set("default-SR", shared.clone());
        pool.set("suspend-image-SR", shared.clone());
        for (key, value) in CPU {
            pool.put("cpu_info", key, *value);
        }
        self.pool.insert(pool);
        self.templates();
        let last = self.hosts.last().cloned().unwrap_or_default();
        self.vm("Mail server", "runs since long ago", &shared, 10 * GIB, &last)?;
        let hosts = self.hosts.clone();
        for (number, host) in (1..=options.vms).zip(hosts.iter().cycle()) {
            let vm = self.vm(&format!("one-{number}"), &format!("vm {number}"), &shared, 64 << 20, host)?;
            let row = self.pool.edit(Class::Vm, &vm)?;
            row.put("other-config", "one_vm_id", number.to_string());
            row.put("other-config", "one_vm_uuid", vm);
        }
        Ok(())
    }

    fn row(&mut self, class: Class, name: &str) -> Row {
        let mut row = Row::new(class, self.pool.new_uuid());
        row.set("name-label", name.to_owned());
        row
    }

    fn host(&mut self, number: u32) -> String {
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

    fn networks(&mut self) {
        for number in 0..2 {
            let mut network =
                self.row(Class::Network, &format!("Pool-wide network associated with eth{number}"));
            network.set("bridge", format!("xenbr{number}"));
            for (at, host) in (1..).zip(self.hosts.clone()) {
                let mut pif = Row::new(Class::Pif, self.pool.new_uuid());
                pif.set("device", format!("eth{number}"));
                pif.set("MAC", format!("0c:c4:7a:00:{number:02x}:{at:02x}"));
                pif.set("network-uuid", network.uuid.to_string());
                pif.set("host-uuid", host);
                pif.set("pci-bus-path", format!("0000:0{}:00.{number}", number + 3));
                if number == 0 {
                    pif.set("management", "true");
                    pif.set("IP-configuration-mode", "Static");
                    pif.set("IP", format!("192.168.10.{at}"));
                    pif.set("netmask", "255.255.255.0");
                    pif.set("gateway", "192.168.10.254");
                    pif.set("DNS", "192.168.10.254");
                }
                self.pool.insert(pif);
            }
            self.pool.insert(network);
        }
        let mut internal = self.row(Class::Network, "Host internal management network");
        internal.set("bridge", "xenapi");
        internal.set(
            "name-description",
            "Network on which guests will be assigned a private link-local IP address",
        );
        internal.put("other-config", "is_host_internal_management_network", "true");
        self.pool.insert(internal);
    }

    /// Makes the SRs; gives back the one that is the pool's default.
    fn storage(&mut self, standalone: bool) -> String {
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
        iso.set("physical-utilisation", "45088768");
        iso.set("location", "guest-tools.iso");
        iso.set("read-only", "true");
        iso.set("is-tools-iso", "true");
        self.pool.insert(iso);
        default.unwrap_or_default()
    }

    fn sr(&mut self, name: &str, kind: &'static str, size: i64, hosts: &[String]) -> String {
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

    fn templates(&mut self) {
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

    fn template(
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

    /// A VM with one disk and one network, running on a host.
    fn vm(&mut self, name: &str, description: &str, sr: &str, size: i64, host: &str) -> Outcome<String> {
        let tools_are_missing = self.pool.no_tools;
        let mut vm = self.row(Class::Vm, name);
        vm.set("name-description", description.to_owned());
        vm.put("HVM-boot-params", "order", "cd");
        vm.put("HVM-boot-params", "firmware", "bios");
        vm.put("other-config", "mac_seed", self.pool.new_uuid());
        vm.set("memory-static-min", (128 << 20).to_string());
        vm.set("install-time", self.pool.now());
        let uuid = vm.uuid.to_string();
        self.pool.insert(vm);
        let mut vdi = self.row(Class::Vdi, &format!("{name}-disk-0"));
        vdi.set("sr-uuid", sr.to_owned());
        vdi.set("location", vdi.uuid.to_string());
        vdi.set("virtual-size", size.to_string());
        vdi.set("physical-utilisation", size.to_string());
        let mut vbd = Row::new(Class::Vbd, self.pool.new_uuid());
        vbd.set("vm-uuid", uuid.clone());
        vbd.set("vdi-uuid", vdi.uuid.to_string());
        vbd.set("userdevice", "0");
        vbd.set("bootable", "true");
        vbd.set("currently-attached", "true");
        vbd.set("device", "xvda");
        vbd.put("other-config", "owner", "");
        self.pool.insert(vdi);
        self.pool.insert(vbd);
        let bridge = |row: &&Row| row.get("bridge") == "xenbr0";
        let network = self.pool.rows(Class::Network).iter().find(bridge).map(|row| row.uuid.to_string());
        let mut vif = Row::new(Class::Vif, self.pool.new_uuid());
        vif.set("vm-uuid", uuid.clone());
        vif.set("network-uuid", network.unwrap_or_default());
        vif.set("device", "0");
        vif.set("MAC", verbs::made_mac(&uuid, 0));
        vif.set("MAC-autogenerated", "true");
        vif.set("currently-attached", "true");
        self.pool.insert(vif);
        verbs::begin(self.pool, &uuid, host)?;
        let (now, number) = (self.pool.now(), self.pool.counter);
        let row = self.pool.edit(Class::Vm, &uuid)?;
        row.set("start-time", now.clone());
        if !tools_are_missing {
            row.set("sim-guest", "tools");
            row.set("sim-guest-number", number.to_string());
            row.set("sim-guest-updated", now);
        }
        Ok(uuid)
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

const CPU: &[(&str, &str)] = &[
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
