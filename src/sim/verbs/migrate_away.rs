//! Migration to another pool (xapi `cli_operations.ml` `vm_migrate`, `xapi_vm_migrate.ml` `migrate_send'`): the VM
//! keeps its uuid, its disks and devices get others.

use super::{machine, migrate, storage_motion};
use crate::sim::call::Call;
use crate::sim::lifecycle::{self, Op};
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, cli, refused};
use crate::sim::row::Class;
use crate::sim::select::{Choice, VMS, chosen_vms};
use crate::sim::storage;
use crate::sim::store::Store;

/// What goes where: the VM, its new host, and for each disk and VIF the SR and network over there.
struct Way {
    vm: String,
    host: String,
    srs: Vec<(String, String)>,
    networks: Vec<(String, String)>,
}

/// Moves the VM from one stored pool to the other.
pub fn migrate(store: &Store, other: &Store, call: &mut Call) -> Outcome<()> {
    migrate::check_parameters(call)?;
    call.out.remark("Performing a storage live migration. Your VM's VDIs will be migrated with the VM.");
    store.change_both(other, |here, there| {
        let outcome = way(here, there, call).and_then(|way| {
            let copied = send(here, there, &way)?;
            copied.iter().try_for_each(|(from, to)| Ok(store.copy_vdi(from, other, to)?))
        });
        let keep = outcome.is_ok();
        (outcome, keep)
    })?
}

fn way(here: &Pool, there: &Pool, call: &mut Call) -> Outcome<Way> {
    storage_motion::log_in(there, &call.command)?;
    let command = call.command.clone();
    let host = storage_motion::destination(there, command.get("host"))?;
    let network = storage_motion::remote_network(there, &command, &host)?;
    let mut networks = Vec::new();
    for (vif, network) in command.map("vif") {
        let vif = here.get(Class::Vif, vif)?.uuid.to_string();
        networks.push((vif, there.get(Class::Network, network)?.uuid.to_string()));
    }
    let mut given = Vec::new();
    for (vdi, sr) in command.map("vdi") {
        let vdi = here.get(Class::Vdi, vdi)?.uuid.to_string();
        given.push((vdi, there.get(Class::Sr, sr)?.uuid.to_string()));
    }
    let own: Vec<&str> =
        ["host", "live", "force", "copy", "compress"].into_iter().chain(storage_motion::MOTION).collect();
    let chosen = chosen_vms(here, &command, Choice { templates: true, ..VMS }, &own)?;
    let [vm] = chosen.as_slice() else {
        return cli("Multiple VMs cannot be migrated to another pool at once");
    };
    let preferred = storage_motion::preferred_sr(there, &host);
    let name = |class, uuid: &str| there.find(class, uuid).map_or("", |row| row.get("name-label"));
    call.out.remark(&format!(
        "Will migrate to remote host: {}, using remote network: {}. Here is the VDI mapping:",
        name(Class::Host, &host),
        name(Class::Network, &network)
    ));
    let mut srs = Vec::new();
    for vbd in here.referring(Class::Vbd, "vm-uuid", vm) {
        let Some(vdi) = here.find(Class::Vdi, vbd.get("vdi-uuid")) else { continue };
        let asked = given.iter().find(|(known, _)| *known == vdi.uuid).map(|(_, sr)| sr.clone());
        if let Some(sr) = asked.or_else(|| preferred.clone()) {
            call.out.remark(&format!("VDI {} -> SR {sr}", vdi.uuid));
            srs.push((vdi.uuid.to_string(), sr));
        }
    }
    if let Some((stray, _)) = given.iter().find(|(vdi, _)| srs.iter().all(|(known, _)| known != vdi)) {
        return Err(refused("VDI_NOT_IN_MAP", vec![here.param(Class::Vdi, stray)]));
    }
    Ok(Way { vm: vm.clone(), host, srs, networks })
}

/// Makes the VM over there, and takes it away here. Gives back whose bytes are to be copied.
fn send(here: &mut Pool, there: &mut Pool, way: &Way) -> Outcome<Vec<(String, String)>> {
    check(here, way)?;
    let emptied = storage_motion::drives_to_empty(here, &way.vm, &way.srs);
    let mut vm = here.get(Class::Vm, &way.vm)?.clone();
    let running = vm.get("power-state") == "running";
    for field in ["resident-on", "affinity", "suspend-SR-uuid", "appliance"] {
        vm.set(field, "");
    }
    vm.set("memory-actual", "0");
    there.insert(vm);
    let mut copied = Vec::new();
    for vbd in here.referring_uuids(Class::Vbd, "vm-uuid", &way.vm) {
        let mut row = here.get(Class::Vbd, &vbd)?.clone();
        let vdi = row.get("vdi-uuid").to_owned();
        if emptied.contains(&vbd) {
            row.set("vdi-uuid", "");
            row.set("empty", "true");
        } else if let Some((_, sr)) = way.srs.iter().find(|(known, _)| *known == vdi) {
            let new = disk(here, there, way, &vdi, sr)?;
            row.set("vdi-uuid", new.clone());
            copied.push((vdi, new));
        }
        row.uuid = there.new_uuid().into();
        there.insert(row);
    }
    for vif in here.referring_uuids(Class::Vif, "vm-uuid", &way.vm) {
        let mut row = here.get(Class::Vif, &vif)?.clone();
        if let Some((_, network)) = way.networks.iter().find(|(known, _)| *known == vif) {
            row.set("network-uuid", network.clone());
        }
        row.uuid = there.new_uuid().into();
        there.insert(row);
    }
    for vtpm in here.referring(Class::Vtpm, "vm-uuid", &way.vm) {
        let mut row = vtpm.clone();
        row.uuid = there.new_uuid().into();
        there.insert(row);
    }
    lifecycle::can_boot_here(there, &way.vm, &way.host)?;
    if running {
        machine::begin(there, &way.vm, &way.host)?;
    }
    leave(here, way, &copied)?;
    Ok(copied)
}

fn check(here: &Pool, way: &Way) -> Outcome<()> {
    lifecycle::check(here, &way.vm, Op::MigrateSend)?;
    let snapshots = here.referring(Class::Vm, "snapshot-of", &way.vm);
    if snapshots.len() > 1 {
        return Err(refused("VM_HAS_TOO_MANY_SNAPSHOTS", vec![here.vm_param(&way.vm)]));
    }
    for vif in here.referring_uuids(Class::Vif, "vm-uuid", &way.vm) {
        if way.networks.iter().all(|(known, _)| *known != vif) {
            return Err(refused("VIF_NOT_IN_MAP", vec![here.param(Class::Vif, &vif)]));
        }
    }
    for (vdi, _) in &way.srs {
        storage::check(here, here.get(Class::Vdi, vdi)?, storage::Op::Mirror)?;
    }
    Ok(())
}

/// A disk over there, as it is here. Its tags stay behind: XAPI makes it anew.
fn disk(here: &Pool, there: &mut Pool, way: &Way, vdi: &str, sr: &str) -> Outcome<String> {
    if !storage::is_reachable(there, sr, &way.host) {
        return Err(machine::about(there, "VM_REQUIRES_SR", &way.vm, Class::Sr, sr));
    }
    let mut row = here.get(Class::Vdi, vdi)?.clone();
    storage::check_new(there, sr, row.number("virtual-size"))?;
    row.uuid = there.new_uuid().into();
    row.set("location", row.uuid.clone());
    row.set("sr-uuid", sr.to_owned());
    row.take_all("tags");
    row.take_all("sm-config");
    let uuid = row.uuid.to_string();
    there.insert(row);
    Ok(uuid)
}

fn leave(here: &mut Pool, way: &Way, copied: &[(String, String)]) -> Outcome<()> {
    for class in [Class::Vbd, Class::Vif, Class::Console, Class::Vtpm] {
        for device in here.referring_uuids(class, "vm-uuid", &way.vm) {
            here.remove(class, &device);
        }
    }
    here.remove(Class::Vm, &way.vm);
    for (vdi, _) in copied {
        storage::remove(here, vdi)?;
    }
    Ok(())
}
