//! Migration with the disks: whom it asks, and where each disk goes (xapi `cli_operations.ml` `vm_migrate`,
//! `xapi_vm_migrate.ml` `migrate_send`).

use super::{disc, machine, migrate, vdi};
use crate::sim::arguments::Command;
use crate::sim::call::Call;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Fail, Outcome, Param, cli, internal, refused};
use crate::sim::row::{Class, Row};
use crate::sim::select::{Choice, VMS, chosen_vms};
use crate::sim::storage;

/// Parameters that mean storage motion.
pub const MOTION: [&str; 7] =
    ["remote-master", "remote-username", "vif", "remote-password", "remote-network", "vdi", "vgpu"];

/// Whether `pool` is the one that `remote-master` names, and lets the user in.
pub fn log_in(pool: &Pool, command: &Command) -> Outcome<()> {
    let given = |name| command.get(name);
    let (Some(master), Some(user), Some(password)) =
        (given("remote-master"), given("remote-username"), given("remote-password"))
    else {
        return cli(
            "Storage live migration requires remote-master, remote-username, and remote-password to be specified. \
             Please see 'xe help vm-migrate' for help.",
        );
    };
    let coordinator = pool.coordinator()?;
    match pool.host_called(master) {
        None => Err(internal("INTERNAL_ERROR: [ Xmlrpc_client.Connection_reset ]")),
        Some(host) if host.uuid != coordinator => {
            let address = pool.get(Class::Host, &coordinator)?.get("address").to_owned();
            Err(refused("HOST_IS_SLAVE", vec![Param::text(address)]))
        }
        Some(_) if user != "root" || password != pool.password => Err(Fail::Login),
        Some(_) => Ok(()),
    }
}

/// Moves the chosen VMs to a host of this pool, each disk to the SR that is named for it.
pub fn within(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    call.out.remark("Performing a storage live migration. Your VM's VDIs will be migrated with the VM.");
    log_in(pool, &call.command)?;
    let command = call.command.clone();
    let host = destination(pool, command.get("host"))?;
    let network = remote_network(pool, &command, &host)?;
    let mut networks = Vec::new();
    for (vif, network) in command.map("vif") {
        let vif = pool.get(Class::Vif, vif)?.uuid.to_string();
        networks.push((vif, pool.get(Class::Network, network)?.uuid.to_string()));
    }
    let mut given = Vec::new();
    for (vdi, sr) in command.map("vdi") {
        let vdi = pool.get(Class::Vdi, vdi)?.uuid.to_string();
        given.push((vdi, pool.get(Class::Sr, sr)?.uuid.to_string()));
    }
    let choice = Choice { templates: true, ..VMS };
    let own =
        ["host", "live", "force", "copy", "compress"].iter().chain(&MOTION).copied().collect::<Vec<_>>();
    let chosen = chosen_vms(pool, &command, choice, &own)?;
    let mapping = disks(pool, chosen.first().map_or("", String::as_str), &given, &host)?;
    let name = |class, uuid: &str| pool.find(class, uuid).map_or("", |row| row.get("name-label"));
    call.out.remark(&format!(
        "Will migrate to remote host: {}, using remote network: {}. Here is the VDI mapping:",
        name(Class::Host, &host),
        name(Class::Network, &network)
    ));
    for (vdi, sr) in &mapping {
        call.out.remark(&format!("VDI {vdi} -> SR {sr}"));
    }
    for vm in &chosen {
        send(pool, vm, &host, &mapping, &networks)?;
    }
    Ok(())
}

/// The host that the migration goes to: the named one, else the coordinator.
pub fn destination(pool: &Pool, name: Option<&str>) -> Outcome<String> {
    let Some(name) = name else { return pool.coordinator() };
    let found = pool
        .rows(Class::Host)
        .iter()
        .find(|host| host.uuid == name || host.get("hostname") == name || host.get("name-label") == name);
    found.map(|host| host.uuid.to_string()).ok_or_else(|| Fail::Cli(format!("Failed to find host: {name}")))
}

/// The network that carries the migration: the named one, or that of the management interface.
pub fn remote_network(pool: &Pool, command: &Command, host: &str) -> Outcome<String> {
    if let Some(name) = command.get("remote-network") {
        let found = pool
            .rows(Class::Network)
            .iter()
            .find(|row| row.uuid == name || row.get("bridge") == name || row.get("name-label") == name);
        return found
            .map(|row| row.uuid.to_string())
            .ok_or_else(|| Fail::Cli(format!("Failed to find network: {name}")));
    }
    let pifs = pool.referring(Class::Pif, "host-uuid", host);
    match pifs.iter().find(|pif| pif.is("management")) {
        Some(pif) => Ok(pif.get("network-uuid").to_owned()),
        None => cli(format!("Could not find management PIF on host {host}")),
    }
}

/// The shared SR with most room that the host reaches, else the one of its own.
pub fn preferred_sr(pool: &Pool, host: &str) -> Option<String> {
    let mut srs: Vec<&Row> = pool.rows(Class::Sr).iter().collect();
    srs.retain(|sr| sr.get("content-type") != "iso" && storage::is_reachable(pool, &sr.uuid, host));
    let room = |sr: &Row| {
        let used: i64 = storage::used(pool, &sr.uuid);
        sr.number("physical-size") - used
    };
    let preferred = srs.iter().max_by_key(|sr| (sr.is("shared"), room(sr)));
    preferred.map(|sr| sr.uuid.to_string())
}

/// Where each disk of the VM goes: as given, else to the shared SR with most room that the host reaches.
fn disks(pool: &Pool, vm: &str, given: &[(String, String)], host: &str) -> Outcome<Vec<(String, String)>> {
    let preferred = preferred_sr(pool, host);
    let mut mapping = Vec::new();
    for vbd in pool.referring(Class::Vbd, "vm-uuid", vm) {
        let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) else { continue };
        let asked = given.iter().find(|(known, _)| *known == vdi.uuid).map(|(_, sr)| sr.clone());
        if let Some(sr) = asked.or_else(|| preferred.clone()) {
            mapping.push((vdi.uuid.to_string(), sr));
        }
    }
    for pair in given {
        if !mapping.iter().any(|(vdi, _)| *vdi == pair.0) {
            return Err(refused("VDI_NOT_IN_MAP", vec![pool.param(Class::Vdi, &pair.0)]));
        }
    }
    Ok(mapping)
}

/// The CD drives whose disc would change its SR: XAPI moves no disc, and ejects it (xapi `find_cds_to_eject`).
pub fn drives_to_empty(pool: &Pool, vm: &str, mapping: &[(String, String)]) -> Vec<String> {
    let moves = |vbd: &&&Row| {
        let vdi = pool.find(Class::Vdi, vbd.get("vdi-uuid"));
        let to = |vdi: &Row| mapping.iter().find(|(known, _)| *known == vdi.uuid).map(|(_, sr)| sr.as_str());
        vbd.get("type") == "CD" && vdi.is_some_and(|vdi| to(vdi) != Some(vdi.get("sr-uuid")))
    };
    let is_suspended = pool.find(Class::Vm, vm).is_some_and(|vm| vm.get("power-state") == "suspended");
    let drives = pool.referring(Class::Vbd, "vm-uuid", vm);
    drives.iter().filter(moves).filter(|_| !is_suspended).map(|vbd| vbd.uuid.to_string()).collect()
}

fn attached_nowhere(pool: &Pool, vm: &str, vdi: &str) -> bool {
    pool.referring(Class::Vbd, "vm-uuid", vm).iter().all(|vbd| vbd.get("vdi-uuid") != vdi)
}

/// Sends one VM with its disks (xapi `migrate_send` within the pool).
fn send(
    pool: &mut Pool,
    vm: &str,
    host: &str,
    mapping: &[(String, String)],
    networks: &[(String, String)],
) -> Outcome<()> {
    lifecycle::check(pool, vm, Op::MigrateSend)?;
    let snapshots = pool.referring(Class::Vm, "snapshot-of", vm);
    if snapshots.len() > 1 {
        return Err(refused("VM_HAS_TOO_MANY_SNAPSHOTS", vec![pool.vm_param(vm)]));
    }
    if snapshots.iter().any(|snapshot| snapshot.get("power-state") == "suspended") {
        return Err(refused("VM_HAS_CHECKPOINT", vec![pool.vm_param(vm)]));
    }
    let running = pool.get(Class::Vm, vm)?.get("power-state") == "running";
    for drive in drives_to_empty(pool, vm, mapping) {
        disc::eject_disc(pool, &drive)?;
    }
    let mut moving = Vec::new();
    for (disk, sr) in mapping {
        if attached_nowhere(pool, vm, disk) {
            continue;
        }
        let row = pool.get(Class::Vdi, disk)?;
        let (from, same) = (row.get("sr-uuid").to_owned(), row.get("sr-uuid") == sr);
        if storage::is_iso(pool, &from) {
            if !storage::is_reachable(pool, &from, host) {
                return Err(machine::about(pool, "VM_REQUIRES_SR", vm, Class::Sr, &from));
            }
        } else if !same {
            if !storage::is_reachable(pool, sr, host) {
                return Err(machine::about(pool, "VM_REQUIRES_SR", vm, Class::Sr, sr));
            }
            moving.push((disk.clone(), sr.clone()));
        }
    }
    let moved: Vec<String> = moving.iter().map(|(disk, _)| disk.clone()).collect();
    lifecycle::reaches(pool, vm, host, &moved)?;
    for (disk, sr) in &moving {
        vdi::move_disk(pool, disk, sr)?;
    }
    for (vif, network) in networks {
        pool.set(Class::Vif, vif, "network-uuid", network)?;
    }
    if running && pool.get(Class::Vm, vm)?.get("resident-on") != host {
        lifecycle::can_boot_here(pool, vm, host)?;
        migrate::arrive(pool, vm, host)?;
    }
    Ok(())
}
