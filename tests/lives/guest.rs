//! What a guest does by itself.

use crate::model::World;
use crate::pool::Pool;
use std::fs;
use std::os::unix::fs::FileExt;

/// It writes a word that nobody has written before, into one of its disks.
pub fn writes(world: &mut World, slot: usize, disk: usize, at: usize, text: u64) {
    let vm = world.running(slot).unwrap();
    let pool = Pool::read(&world.host);
    let disk = &mut world.slots[slot].disks[disk];
    let vdi = pool.vdi_in(&vm, &disk.device()).expect("a running guest has its disks");
    let file = fs::File::options().create(true).truncate(false).write(true).open(pool.file(&vdi)).unwrap();
    file.write_all_at(&text.to_le_bytes(), at as u64).unwrap();
    disk.bytes[at..at + 8].copy_from_slice(&text.to_le_bytes());
}

/// It powers itself off; nobody asks it to.
pub fn powers_off(world: &World, slot: usize) {
    let vm = world.running(slot).unwrap();
    world.host.xe(&["vm-shutdown", &format!("uuid={vm}"), "force=true"]);
}
