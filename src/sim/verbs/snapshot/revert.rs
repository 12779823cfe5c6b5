//! A VM goes back to a snapshot: its disks become clones of the snapshot's (xapi `xapi_vm_snapshot.ml` `revert`).

use super::named;
use crate::sim::call::Call;
use crate::sim::pool::Pool;
use crate::sim::refuse::{Outcome, refused};
use crate::sim::row::{Class, Row};
use crate::sim::storage;
use crate::sim::verbs::cloning::{How, copy_disk, copy_vbds, copy_vifs, forget_snapshot};
use crate::sim::verbs::machine;

/// `snapshot-revert`.
pub fn revert(pool: &mut Pool, call: &mut Call) -> Outcome<()> {
    let snapshot = named(pool, call)?;
    let vm = pool.get(Class::Vm, &snapshot)?.get("snapshot-of").to_owned();
    if pool.find(Class::Vm, &vm).is_none() {
        return Err(refused("VM_REVERT_FAILED", vec![pool.vm_param(&vm), pool.vm_param(&snapshot)]));
    }
    if pool.get(Class::Vm, &vm)?.get("power-state") != "halted" {
        machine::hard_shutdown(pool, &vm)?;
    }
    drop_devices(pool, &vm, &snapshot)?;
    copy_fields(pool, &vm, &snapshot)?;
    copy_disks(pool, &vm, &snapshot)?;
    copy_vifs(pool, &snapshot, &vm, true)?;
    let image = pool.get(Class::Vm, &snapshot)?.get("suspend-VDI-uuid").to_owned();
    if pool.find(Class::Vdi, &image).is_some() {
        let image = copy_disk(pool, &image, How::Clone)?;
        pool.set(Class::Vm, &vm, "suspend-VDI-uuid", &image)?;
        pool.set(Class::Vm, &vm, "power-state", "suspended")?;
    }
    Ok(())
}

/// Takes away the VM's VBDs and VIFs, and those of its disks that the snapshot brings back.
fn drop_devices(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let mut replaced = Vec::new();
    for vbd in pool.referring(Class::Vbd, "vm-uuid", snapshot) {
        if let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            replaced.push(vdi.get("snapshot-of").to_owned());
        }
    }
    for vbd in pool.referring_uuids(Class::Vbd, "vm-uuid", vm) {
        let row = pool.get(Class::Vbd, &vbd)?.clone();
        pool.remove(Class::Vbd, &vbd);
        let vdi = row.get("vdi-uuid");
        if row.get("type") == "Disk" && replaced.iter().any(|replaced| replaced == vdi) {
            storage::check_unused(pool, vdi, "destroy", false)?;
            storage::remove(pool, vdi)?;
        }
    }
    for vif in pool.referring_uuids(Class::Vif, "vm-uuid", vm) {
        pool.remove(Class::Vif, &vif);
    }
    Ok(())
}

/// The VM becomes what it was, but for what belongs to the VM for good.
fn copy_fields(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let old = pool.get(Class::Vm, vm)?.clone();
    let was: Row = pool.get(Class::Vm, snapshot)?.clone();
    let mut row = was.copied(vm.to_owned());
    forget_snapshot(&mut row);
    row.set("name-label", was.get("sim-was-name").to_owned());
    row.set("name-description", was.get("sim-was-description").to_owned());
    row.set("is-a-template", was.get("sim-was-template").to_owned());
    row.set("suspend-SR-uuid", was.get("sim-was-suspend-sr").to_owned());
    row.set("parent", snapshot.to_owned());
    row.set("power-state", "halted");
    row.set("suspend-VDI-uuid", "");
    row.set("VCPUs-number", "0");
    row.set("hvm", "false");
    row.set("current-domain-type", "unspecified");
    for name in ["affinity", "sim-tools"] {
        row.set(name, old.get(name).to_owned());
    }
    row.take_all("tags");
    let tags: Vec<&str> = old.entries("tags").map(|(tag, _)| tag).collect();
    for tag in tags.iter().rev() {
        row.put("tags", tag, "");
    }
    pool.remove(Class::Vm, vm);
    pool.insert(row);
    Ok(())
}

/// Clones the snapshot's disks for the VM; all snapshots of a disk become snapshots of its clone.
fn copy_disks(pool: &mut Pool, vm: &str, snapshot: &str) -> Outcome<()> {
    let mut origins = Vec::new();
    for vbd in pool.referring(Class::Vbd, "vm-uuid", snapshot) {
        if let Some(vdi) = pool.find(Class::Vdi, vbd.get("vdi-uuid")) {
            origins.push((vbd.get("userdevice").to_owned(), vdi.get("snapshot-of").to_owned()));
        }
    }
    copy_vbds(pool, snapshot, vm, How::Clone, &[])?;
    for vbd in pool.referring_uuids(Class::Vbd, "vm-uuid", vm) {
        let row = pool.get(Class::Vbd, &vbd)?;
        let (device, vdi) = (row.get("userdevice").to_owned(), row.get("vdi-uuid").to_owned());
        let origin = origins.iter().find(|(known, origin)| *known == device && !origin.is_empty());
        let Some((_, origin)) = origin.filter(|_| row.get("type") == "Disk") else { continue };
        for related in pool.referring_uuids(Class::Vdi, "snapshot-of", origin) {
            pool.set(Class::Vdi, &related, "snapshot-of", &vdi)?;
        }
    }
    Ok(())
}
