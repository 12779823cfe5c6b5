//! What must hold after each step.

use crate::common::{PROGRAM, Said, said};
use crate::disk::{self, Kind};
use crate::model::{Operation, Slot, State, World};
use crate::pool::{Pool, Row, power_state};
use std::fs;
use std::path::Path;

/// What belongs to nobody of OpenNebula's.
pub struct Foreign(Vec<Row>);

impl Foreign {
    pub fn of(world: &World) -> Foreign {
        let pool = Pool::read(&world.host);
        let kinds = ["VM", "VDI", "VBD", "VIF"];
        Foreign(pool.rows.iter().filter(|row| kinds.contains(&row.class.as_str())).cloned().collect())
    }
}

/// After each step: no disk's newest bytes are lost, of no VM, and nothing foreign has changed.
pub fn check(world: &World, foreign: &Foreign) -> Result<(), String> {
    let pool = Pool::read(&world.host);
    for row in &foreign.0 {
        if pool.find(&row.uuid) != Some(row) {
            return Err(format!("{} {} is foreign and has changed", row.class, row.uuid));
        }
    }
    for slot in 0..world.slots.len() {
        let vm = &world.slots[slot];
        let running = pool.records(vm.vm_id).into_iter().filter(|vm| power_state(vm) == "running").count();
        if running > 1 {
            return Err(format!("VM {} runs {running} times", vm.vm_id));
        }
        for (index, disk) in vm.disks.iter().enumerate() {
            if counts(vm, disk) && !is_anywhere(&pool, vm.vm_id, disk, &world.file(slot, index)) {
                return Err(format!(
                    "lost: disk {} of VM {} is nowhere as its guest wrote it",
                    disk.disk_id, vm.vm_id
                ));
            }
        }
    }
    Ok(())
}

/// Whether what the disk holds may not be lost. Of a VM whose end OpenNebula has asked for, only persistent disks count,
/// also where that end failed and the VM is started again.
fn counts(vm: &Slot, disk: &disk::Disk) -> bool {
    disk.kind == Kind::Persistent || !vm.ends
}

/// In the file, or in a VDI that is told to be this disk's.
fn is_anywhere(pool: &Pool, vm_id: u32, disk: &disk::Disk, file: &Path) -> bool {
    let name = format!("one-{vm_id}-disk-{}", disk.disk_id);
    let mut vdis = pool.of_class("VDI").filter(|vdi| vdi.get("name-label") == name);
    disk::file_holds(file, &disk.bytes) || vdis.any(|vdi| disk::holds(&pool.bytes(&vdi.uuid), &disk.bytes))
}

/// What a script's success says must be true.
pub fn check_success(world: &World, slot: usize, operation: Operation) -> Result<(), String> {
    match operation {
        // Where the guest has powered itself off, it is attached all the same.
        Operation::Attach => has_its_disks(world, slot),
        Operation::Deploy | Operation::Resume | Operation::Revert => runs_on_its_disks(world, slot),
        Operation::Migrate => {
            runs_on_its_disks(world, slot)?;
            runs_where_opennebula_has_it(world, slot)
        }
        Operation::Detach if !world.detached_as_written => {
            Err(format!("not written back: the detached disk of VM {}", world.slots[slot].vm_id))
        }
        Operation::PowerOff { .. } => {
            let pool = Pool::read(&world.host);
            let vm = &world.slots[slot];
            for (index, disk) in vm.disks.iter().enumerate() {
                let file = world.file(slot, index);
                if !disk::file_holds(&file, &disk.bytes) {
                    return Err(format!("not written back: disk {} of VM {}", disk.disk_id, vm.vm_id));
                }
            }
            let left = pool.records(vm.vm_id).len();
            if left > 0 && vm.snapshots.is_empty() {
                Err(format!("powered off: {left} records are left"))
            } else {
                Ok(())
            }
        }
        Operation::Suspend => {
            let pool = Pool::read(&world.host);
            let is_suspended =
                pool.find(&world.slots[slot].deploy_id).is_some_and(|vm| power_state(vm) == "suspended");
            if !is_suspended {
                return Err("suspended, and the pool says otherwise".to_owned());
            }
            if !world.persistent_files_are_newest(slot) {
                return Err("suspended, and a persistent disk's file is not what the guest wrote".to_owned());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The VM that OpenNebula knows runs, and has in each device what its guest wrote last.
fn runs_on_its_disks(world: &World, slot: usize) -> Result<(), String> {
    let pool = Pool::read(&world.host);
    let vm = &world.slots[slot];
    let record = pool
        .find(&vm.deploy_id)
        .ok_or_else(|| format!("it runs as {}, which is not in the pool", vm.deploy_id))?;
    if power_state(record) != "running" {
        return Err(format!("it runs as {}, which is {}", vm.deploy_id, power_state(record)));
    }
    has_its_disks(world, slot)
}

fn has_its_disks(world: &World, slot: usize) -> Result<(), String> {
    let pool = Pool::read(&world.host);
    let vm = &world.slots[slot];
    for disk in vm.disks.iter().filter(|disk| counts(vm, disk)) {
        let vdi = pool.vdi_in(&vm.deploy_id, &disk.device());
        let vdi = vdi.ok_or_else(|| format!("it runs without disk {}", disk.disk_id))?;
        if !disk::holds(&pool.bytes(&vdi), &disk.bytes) {
            return Err(format!(
                "stale: it runs, and disk {} is not what its guest wrote last",
                disk.disk_id
            ));
        }
    }
    Ok(())
}

fn runs_where_opennebula_has_it(world: &World, slot: usize) -> Result<(), String> {
    let vm = &world.slots[slot];
    let host = world.host.host_of(&vm.deploy_id);
    if host == vm.host { Ok(()) } else { Err(format!("migrated to {}, and it runs on {host}", vm.host)) }
}

/// Whether a step without faults had to succeed.
pub fn must_succeed(world: &World, slot: usize, operation: Operation, ran_before: bool) -> bool {
    match operation {
        // A guest that is off, or gone on, cannot be asked.
        Operation::Suspend
        | Operation::Reboot { .. }
        | Operation::Attach
        | Operation::Detach
        | Operation::Migrate
        | Operation::Snapshot
        | Operation::Revert
        | Operation::SnapshotDelete => ran_before,
        // A `save` that was killed has left no checkpoint, or an older one; `recover --delete` asks for no success.
        Operation::Resume | Operation::Delete => false,
        _ => world.slots[slot].state != State::Pending || operation == Operation::Deploy,
    }
}

/// Nobody has a VM any more, and the administrator clears up with OpenNebula's list, what may be the only copy of
/// a persistent disk into files: the pool is as it was. What still runs of a VM that OpenNebula has given up is his to power off.
pub fn nothing_is_left(world: &World, foreign: &Foreign) -> Result<(), String> {
    let pool = Pool::read(&world.host);
    for vm in world.ended.iter().flat_map(|vm_id| pool.records(*vm_id)) {
        if power_state(vm) != "halted" {
            world.host.xe(&["vm-shutdown", &format!("uuid={}", vm.uuid), "force=true"]);
        }
    }
    let list = format!("<VM_POOL><VM><ID>{}</ID><STATE>1</STATE></VM></VM_POOL>", world.last_vm_id + 1);
    fs::create_dir_all(world.host.path("saved")).unwrap();
    let mut gc = world.host.command(PROGRAM);
    let said = said(gc.args(["gc", "--vms-of", "-", "--yes", "--save-to", "saved"]), list.as_bytes());
    let pool = Pool::read(&world.host);
    let kinds = ["VM", "VDI", "VBD", "VIF"];
    let is_new = |row: &&Row| {
        kinds.contains(&row.class.as_str()) && !foreign.0.iter().any(|known| known.uuid == row.uuid)
    };
    let left: Vec<String> = pool
        .rows
        .iter()
        .filter(is_new)
        .map(|row| format!("{} {} {}", row.class, row.uuid, row.get("name-label")))
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("left over: {} after gc: {}", left.join(", "), brief(&said)))
    }
}

/// One line of what a script said.
pub fn brief(said: &Said) -> String {
    format!("exit {:?} {} {}", said.code, said.stdout.trim(), said.stderr.trim().replace('\n', " | "))
}
