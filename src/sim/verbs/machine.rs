//! How a VM comes to run and stops running: the changes that several verbs share.

use crate::sim::guest;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;

/// Starts a halted VM on a host, to the power state `running` or `paused`.
pub fn start_on(pool: &mut Pool, uuid: &str, host: &str, state: &'static str) -> Outcome<()> {
    lifecycle::check(pool, uuid, Op::Start)?;
    lifecycle::can_boot_here(pool, uuid, host)?;
    for vbd in pool.referring(Class::Vbd, "vm-uuid", uuid) {
        storage::check_sharing(pool, vbd)?;
        storage::check_there(pool, vbd.get("vdi-uuid"))?;
    }
    give_device_model(pool.edit(Class::Vm, uuid)?);
    run_at_once(pool, uuid, host)?;
    pool.set(Class::Vm, uuid, "power-state", state)
}

/// What an HVM guest gets at its first start (xapi `xapi_vm.ml` `start`).
fn give_device_model(vm: &mut Row) {
    if vm.get("domain-type") != "hvm" || vm.entry("platform", "device-model").is_some() {
        return;
    }
    let is_uefi = vm.entry("HVM-boot-params", "firmware") == Some("uefi");
    vm.put("platform", "device-model", if is_uefi { "qemu-upstream-uefi" } else { "qemu-upstream-compat" });
}

/// The VM runs on the host, whatever was before.
pub fn run_at_once(pool: &mut Pool, uuid: &str, host: &str) -> Outcome<()> {
    let now = pool.now();
    begin(pool, uuid, host)?;
    for class in [Class::Vbd, Class::Vif] {
        for device in pool.referring_uuids(class, "vm-uuid", uuid) {
            attach(pool, class, &device)?;
        }
    }
    let row = pool.edit(Class::Vm, uuid)?;
    row.set("start-time", now);
    guest::boot(pool, uuid);
    Ok(())
}

/// Attaches a VBD or VIF as far as XAPI's records tell.
pub fn attach(pool: &mut Pool, class: Class, uuid: &str) -> Outcome<()> {
    let row = pool.edit(class, uuid)?;
    row.set("currently-attached", "true");
    if class == Class::Vbd {
        let device = storage::guest_device(row.get("userdevice"));
        row.set("device", device);
    }
    Ok(())
}

/// What a VM without strings of its own gets at its first start (xapi `xapi_vm_helpers.ml`
/// `consider_generic_bios_strings`).
const BIOS_STRINGS: [(&str, &str); 16] = [
    ("bios-vendor", "Xen"),
    ("bios-version", ""),
    ("system-manufacturer", "Xen"),
    ("system-product-name", "HVM domU"),
    ("system-version", ""),
    ("system-serial-number", ""),
    ("baseboard-manufacturer", ""),
    ("baseboard-product-name", ""),
    ("baseboard-version", ""),
    ("baseboard-serial-number", ""),
    ("baseboard-asset-tag", ""),
    ("baseboard-location-in-chassis", ""),
    ("enclosure-asset-tag", ""),
    ("hp-rombios", ""),
    ("oem-1", "Xen"),
    ("oem-2", "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d"),
];

/// The VM has a domain on the host: it is running, has memory and a console.
pub fn begin(pool: &mut Pool, uuid: &str, host: &str) -> Outcome<()> {
    let host_row = pool.edit(Class::Host, host)?;
    let domain = host_row.number("sim-domains") + 1;
    host_row.set("sim-domains", domain.to_string());
    let address = host_row.get("address").to_owned();
    let console = pool.new_uuid();
    let row = pool.edit(Class::Vm, uuid)?;
    row.set("power-state", "running");
    row.set("resident-on", host.to_owned());
    row.set("dom-id", domain.to_string());
    let (vcpus, memory) = (row.get("VCPUs-at-startup").to_owned(), row.get("memory-dynamic-max").to_owned());
    row.set("VCPUs-number", vcpus);
    row.set("memory-actual", memory.clone());
    row.set("memory-target", memory);
    let kind = row.get("domain-type").to_owned();
    row.set("hvm", (kind == "hvm").to_string());
    if kind == "hvm" && row.entries("bios-strings").next().is_none() {
        for (name, value) in BIOS_STRINGS.iter().rev() {
            row.put("bios-strings", name, *value);
        }
    }
    // Without QEMU there is no screen (xenops_server_xen.ml `get_state`).
    let protocol = if kind == "pv" { "VT100" } else { "RFB" };
    row.set("current-domain-type", kind);
    let mut row = Row::new(Class::Console, console.clone());
    row.set("vm-uuid", uuid.to_owned());
    row.set("protocol", protocol);
    row.set("location", format!("https://{address}/console?uuid={console}"));
    pool.insert(row);
    Ok(())
}

/// The VM has no domain any more.
pub fn end(pool: &mut Pool, uuid: &str, state: &'static str) -> Outcome<()> {
    for console in pool.referring_uuids(Class::Console, "vm-uuid", uuid) {
        pool.remove(Class::Console, &console);
    }
    if state == "halted" {
        for class in [Class::Vbd, Class::Vif] {
            for device in pool.referring_uuids(class, "vm-uuid", uuid) {
                pool.set(class, &device, "currently-attached", "false")?;
            }
        }
    }
    let row = pool.edit(Class::Vm, uuid)?;
    row.set("power-state", state);
    row.set("resident-on", "");
    row.set("dom-id", "-1");
    row.set("VCPUs-number", "0");
    row.set("memory-actual", "0");
    row.set("memory-target", "0");
    row.set("hvm", "false");
    // A suspended VM keeps it (xapi_vm_lifecycle.ml `force_state_reset_keep_current_operations` resets halted ones).
    if state == "halted" {
        row.set("current-domain-type", "unspecified");
    }
    Ok(())
}

/// Halts a running, paused or suspended VM; what it was suspended to is gone.
pub fn hard_shutdown(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    lifecycle::check(pool, uuid, Op::HardShutdown)?;
    let image = pool.get(Class::Vm, uuid)?.get("suspend-VDI-uuid").to_owned();
    end(pool, uuid, "halted")?;
    pool.remove(Class::Vdi, &image);
    pool.set(Class::Vm, uuid, "suspend-VDI-uuid", "")
}

/// Destroys the record of a VM with its VBDs and VIFs; disks stay.
pub fn destroy(pool: &mut Pool, uuid: &str) -> Outcome<()> {
    lifecycle::check(pool, uuid, Op::Destroy)?;
    for class in [Class::Vbd, Class::Vif, Class::Console, Class::Vtpm] {
        for device in pool.referring_uuids(class, "vm-uuid", uuid) {
            pool.remove(class, &device);
        }
    }
    let parent = pool.get(Class::Vm, uuid)?.get("parent").to_owned();
    for child in pool.referring_uuids(Class::Vm, "parent", uuid) {
        pool.set(Class::Vm, &child, "parent", &parent)?;
    }
    pool.remove(Class::Vm, uuid);
    Ok(())
}

/// The host for a VM that was started without one: its affinity if it fits, else the emptiest that does.
pub fn choose_host(pool: &Pool, uuid: &str) -> Outcome<String> {
    let mut fitting: Vec<&Row> = pool.rows(Class::Host).iter().collect();
    fitting.retain(|host| lifecycle::can_boot_here(pool, uuid, &host.uuid).is_ok());
    let affinity = pool.get(Class::Vm, uuid)?.get("affinity");
    let best = fitting
        .iter()
        .find(|host| host.uuid == affinity)
        .or_else(|| fitting.iter().max_by_key(|host| lifecycle::free_memory(pool, host)));
    best.map(|host| host.uuid.to_string()).ok_or_else(|| refused("NO_HOSTS_AVAILABLE", vec![]))
}

/// Why no host can run the VM, one line a host (xapi `print_vm_host_report`).
pub fn host_report(pool: &Pool, uuid: &str) -> Vec<(String, String)> {
    let hosts = pool.rows(Class::Host).iter().map(|host| {
        let verdict = match lifecycle::can_boot_here(pool, uuid, &host.uuid) {
            Ok(()) => "OK".to_owned(),
            Err(fail) => format!("Cannot start here [{}]", lifecycle::reason(&fail)),
        };
        (host.get("name-label").to_owned(), verdict)
    });
    hosts.collect()
}

/// Whether a call fails because no host is good enough.
pub fn lacks_host(fail: &Fail) -> bool {
    matches!(fail, Fail::Server { code, .. } if code == "NO_HOSTS_AVAILABLE")
}

/// `VM_REQUIRES_VDI` and its kind: the VM and another object.
pub fn about(pool: &Pool, code: &str, uuid: &str, class: Class, other: &str) -> Fail {
    let params: Vec<Param> = vec![pool.vm_param(uuid), pool.param(class, other)];
    refused(code, params)
}
