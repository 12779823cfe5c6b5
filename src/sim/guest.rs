//! What the guest inside a VM tells XAPI, and whether it listens: PV drivers, addresses, features.

use super::fields::NOWHERE;
use super::pool::Pool;
use super::refuse::{Outcome, refused};
use super::row::{Class, Row};

type Entries = Option<Vec<(String, String)>>;

/// Whether XAPI has ever heard of a guest in this VM. What it heard stays after the VM has halted.
pub fn is_known(row: &Row) -> bool {
    !row.get("sim-guest").is_empty()
}

/// Whether the guest has PV drivers, so that it shuts down, suspends and migrates when asked to.
pub fn has_tools(row: &Row) -> bool {
    ["tools", "quiet"].contains(&row.get("sim-guest"))
}

/// Refuses to plug devices into or out of a running virtual machine with hardware support whose guest has no PV
/// drivers (xapi `xapi_vbd_helpers.ml`, `xapi_vif_helpers.ml` `valid_operations`).
pub fn check_hotplug(pool: &Pool, vm: &str) -> Outcome<()> {
    let row = pool.get(Class::Vm, vm)?;
    if row.is("hvm") && !has_tools(row) {
        return Err(refused("VM_MISSING_PV_DRIVERS", vec![pool.vm_param(vm)]));
    }
    Ok(())
}

/// The guest in a checkpoint: XAPI knows of its PV drivers and has forgotten what it told.
pub fn hush(row: &mut Row, now: String) {
    if has_tools(row) {
        row.set("sim-guest", "quiet");
        row.set("sim-guest-updated", now);
    }
}

/// A resumed guest tells everything again.
pub fn wake(row: &mut Row) {
    if has_tools(row) {
        row.set("sim-guest", "tools");
    }
}

/// Whether the guest, asked to shut down, never does.
pub fn ignores_shutdown(row: &Row) -> bool {
    row.get("sim-tools") == "hang"
}

/// `with` if the guest has PV drivers, `without` if it has none, nothing if nobody knows.
pub fn tells(row: &Row, with: &str, without: &str) -> String {
    match row.get("sim-guest") {
        "" => NOWHERE,
        "tools" | "quiet" => with,
        _ => without,
    }
    .to_owned()
}

/// When the guest last said something.
pub fn updated(row: &Row) -> String {
    if is_known(row) { row.get("sim-guest-updated").to_owned() } else { NOWHERE.to_owned() }
}

fn constant(row: &Row, pairs: &[(&str, &str)]) -> Entries {
    match row.get("sim-guest") {
        "" => None,
        "tools" => Some(pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()),
        _ => Some(Vec::new()),
    }
}

/// `os-version`
pub fn os_version(_: &Pool, row: &Row) -> Entries {
    let debian = [
        ("name", "Debian GNU/Linux 12 (bookworm)"),
        ("uname", "6.1.0-18-amd64"),
        ("distro", "debian"),
        ("major", "12"),
        ("minor", "0"),
    ];
    constant(row, &debian)
}

/// `PV-drivers-version`
pub fn drivers_version(_: &Pool, row: &Row) -> Entries {
    constant(row, &[("major", "8"), ("minor", "4"), ("micro", "0"), ("build", "1")])
}

/// `other`: what the guest can be asked for.
pub fn features(_: &Pool, row: &Row) -> Entries {
    let features = [
        ("feature-shutdown", "1"),
        ("feature-reboot", "1"),
        ("feature-suspend", "1"),
        ("feature-poweroff", "1"),
        ("feature-vcpu-hotplug", "1"),
        ("feature-balloon", "1"),
    ];
    let mut offered = constant(row, &features);
    if let Some(offered) = offered.as_mut().filter(|offered| !offered.is_empty() && runs_scripts(row)) {
        offered.push(("feature-xs-batcmd".to_owned(), "1".to_owned()));
    }
    offered
}

/// Whether the guest's agent runs scripts, as XenServer's for Windows does.
pub fn runs_scripts(row: &Row) -> bool {
    row.get("sim-guest") == "tools" && row.is("sim-scripts")
}

/// `networks`: the addresses of the guest, one of each kind for a VIF.
pub fn networks(pool: &Pool, row: &Row) -> Entries {
    if row.get("sim-guest") != "tools" {
        return constant(row, &[]);
    }
    let mut devices: Vec<u32> = pool
        .referring(Class::Vif, "vm-uuid", &row.uuid)
        .iter()
        .filter_map(|vif| vif.get("device").parse().ok())
        .collect();
    devices.sort_unstable();
    let number = row.number("sim-guest-number").rem_euclid(250);
    let mut entries = Vec::new();
    for device in devices {
        let given = row.get("sim-guest-ip");
        let address = if device == 0 && !given.is_empty() {
            given.to_owned()
        } else {
            format!("10.{device}.{number}.2")
        };
        let link = format!("fe80:0000:0000:0000:5054:00ff:fe{number:02x}:{:04x}", device + 1);
        entries.push((format!("{device}/ipv6/0"), link));
        entries.push((format!("{device}/ip"), address.clone()));
        entries.push((format!("{device}/ipv4/0"), address));
    }
    Some(entries)
}

/// `VCPUs-utilisation`: a running VM uses a little of each.
pub fn vcpus_utilisation(row: &Row) -> Vec<(String, String)> {
    if row.get("power-state") != "running" {
        return Vec::new();
    }
    (0..row.number("VCPUs-number")).map(|cpu| (cpu.to_string(), "0.012".to_owned())).collect()
}

/// The guest comes up, or not: one with a disk or a CD has PV drivers, unless it was told otherwise.
pub fn boot(pool: &mut Pool, uuid: &str) {
    let media = pool.referring(Class::Vbd, "vm-uuid", uuid).iter().any(|vbd| !vbd.get("vdi-uuid").is_empty());
    let (none, now, number) = (pool.no_tools, pool.now(), pool.counter);
    if let Ok(row) = pool.edit(Class::Vm, uuid) {
        let tools = match row.get("sim-tools") {
            "no" => false,
            "yes" | "hang" => true,
            _ => media && !none,
        };
        if tools {
            row.set("sim-guest", "tools");
        } else if is_known(row) {
            row.set("sim-guest", "bare");
        }
        if row.get("sim-guest-number").is_empty() {
            row.set("sim-guest-number", number.to_string());
        }
        row.set("sim-guest-updated", now);
    }
}
