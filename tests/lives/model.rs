//! OpenNebula's side of a VM, as far as it decides which scripts are called, with which LCM_STATE, and what its
//! transfer manager does to the files (VirtualMachine.h, LifeCycleStates.cc, release 7.4).

use crate::common::{Host, PROGRAM, Said, said};
use crate::disk::{self, CONTEXT, Disk, HOTPLUGGED, Kind, SIZE_BYTES};
use crate::document::{self, Documents};
use crate::pool::{Pool, power_state};
use base64::Engine;
use std::fs;
use std::path::PathBuf;

/// What OpenNebula takes the VM's state to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be deployed for the first time.
    Pending,
    Running,
    BootFailure,
    PowerOff,
    Suspended,
}

/// Something that happens to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Deploy,
    GuestWrites {
        disk: usize,
        at: usize,
        word: u64,
    },
    GuestPowersOff,
    /// OpenNebula hears of the state that the pool has.
    Monitor,
    PowerOff {
        hard: bool,
    },
    Terminate {
        hard: bool,
    },
    Suspend,
    Resume,
    Reboot {
        hard: bool,
    },
    /// `onevm recover --delete`
    Delete,
    /// A persistent image, as disk 3.
    Attach,
    Detach,
    /// To the pool's other host, live, on datastores that the hosts do not share.
    Migrate,
    Snapshot,
    Revert,
    SnapshotDelete,
}

/// LCM_STATE while a disk is attached or detached.
const HOTPLUG: u32 = 17;

/// The hosts; VMs begin on the first.
const HOSTS: [&str; 2] = ["xcp-a", "xcp-b"];

/// A snapshot of the VM that OpenNebula knows.
pub struct Snapshot {
    /// HYPERVISOR_ID
    pub id: String,
    /// What each disk held.
    pub disks: Vec<Vec<u8>>,
}

/// One VM after another, in the same place: the next has the persistent image of the one before.
pub struct Slot {
    pub number: usize,
    pub vm_id: u32,
    pub state: State,
    pub deploy_id: String,
    /// The host that OpenNebula takes it to be on.
    pub host: &'static str,
    pub disks: Vec<Disk>,
    pub snapshots: Vec<Snapshot>,
    /// A terminate has begun and failed: only persistent disks still count.
    pub ends: bool,
}

impl Slot {
    fn described(&self, lcm_state: u32) -> document::Vm<'_> {
        document::Vm {
            vm_id: self.vm_id,
            slot: self.number,
            deploy_id: &self.deploy_id,
            host: self.host,
            lcm_state,
            disks: &self.disks,
            attach: (lcm_state == HOTPLUG).then_some(HOTPLUGGED),
        }
    }
}

pub struct World {
    pub host: Host,
    documents: Documents,
    pub slots: Vec<Slot>,
    pub last_vm_id: u32,
    /// VMs that OpenNebula has no more.
    pub ended: Vec<u32>,
    /// Whether the file of the last detached disk was what its guest wrote.
    pub detached_as_written: bool,
}

impl World {
    pub fn new(slots: usize) -> World {
        // One call after another, so that the n-th is the same one each time; no transfer takes that long.
        let host = Host::new()
            .set("XE_AT_ONCE", "1")
            .set("XE_TIMEOUT", "20")
            .set("SHUTDOWN_TIMEOUT", "5")
            .set("XE_RETRY_PAUSE", "50");
        fs::remove_dir_all(host.vm_folder(0, 1)).unwrap();
        fs::create_dir_all(host.path("images")).unwrap();
        let mut world = World {
            host,
            documents: Documents::load(),
            slots: Vec::new(),
            last_vm_id: 0,
            ended: Vec::new(),
            detached_as_written: true,
        };
        for number in 0..slots {
            let kinds = [Kind::Persistent, Kind::Cloned, Kind::Volatile];
            let disks = kinds.iter().zip(0..).map(|(kind, id)| Disk::new(id, *kind, Vec::new()));
            world.slots.push(Slot {
                number,
                vm_id: 0,
                state: State::Pending,
                deploy_id: String::new(),
                host: HOSTS[0],
                disks: disks.collect(),
                snapshots: Vec::new(),
                ends: false,
            });
            world.new_images(number);
            world.next_vm(number);
        }
        world
    }

    /// The persistent image that is this disk of every VM in this place.
    fn image(&self, slot: usize, disk_id: u32) -> PathBuf {
        self.host.path("images").join(format!("{slot}-{disk_id}"))
    }

    fn new_images(&mut self, slot: usize) {
        for disk_id in [0, HOTPLUGGED] {
            let seed = 1 + slot as u64 + (u64::from(disk_id) << 4);
            fs::write(self.image(slot, disk_id), filled(seed)).unwrap();
        }
    }

    /// The datastores of a host, as the simulated ssh has them.
    fn datastores(&self, host: &str) -> PathBuf {
        let own = if host == HOSTS[0] { "datastores".to_owned() } else { format!("hosts/{host}/datastores") };
        self.host.path(&own)
    }

    fn folder_on(&self, slot: usize, host: &str) -> PathBuf {
        self.datastores(host).join("0").join(self.slots[slot].vm_id.to_string())
    }

    /// The VM's folder on the host where OpenNebula takes it to be.
    pub fn folder(&self, slot: usize) -> PathBuf {
        self.folder_on(slot, self.slots[slot].host)
    }

    pub fn file(&self, slot: usize, disk: usize) -> PathBuf {
        disk::file(&self.folder(slot), self.slots[slot].disks[disk].disk_id)
    }

    /// A new VM in this place: its folder as the transfer manager makes it.
    fn next_vm(&mut self, slot: usize) {
        self.last_vm_id += 1;
        let image = self.image(slot, 0);
        let vm = &mut self.slots[slot];
        (vm.vm_id, vm.state, vm.ends, vm.host) = (self.last_vm_id, State::Pending, false, HOSTS[0]);
        vm.deploy_id.clear();
        vm.snapshots.clear();
        vm.disks.retain(|disk| disk.disk_id != HOTPLUGGED);
        for disk in &mut vm.disks {
            disk.bytes = match disk.kind {
                Kind::Persistent => fs::read(&image).unwrap(),
                Kind::Cloned => filled(u64::from(vm.vm_id) << 8),
                Kind::Volatile => vec![0; SIZE_BYTES],
            };
        }
        let folder = self.folder(slot);
        fs::create_dir_all(&folder).unwrap();
        for disk in &self.slots[slot].disks {
            fs::write(disk::file(&folder, disk.disk_id), &disk.bytes).unwrap();
        }
        let mut disc = vec![0; 64 << 10];
        disc[32_769..32_774].copy_from_slice(b"CD001");
        fs::write(disk::file(&folder, CONTEXT), disc).unwrap();
    }

    /// `mvds` of the persistent disk if it is wanted, then `delete` of the folder: OpenNebula calls these for file
    /// datastores without any script of ours.
    fn end_vm(&mut self, slot: usize, keeps_image: bool) {
        for (index, disk) in self.slots[slot].disks.iter().enumerate() {
            if keeps_image && disk.kind == Kind::Persistent {
                fs::rename(self.file(slot, index), self.image(slot, disk.disk_id)).unwrap();
            }
        }
        fs::remove_dir_all(self.folder(slot)).unwrap();
        self.ended.push(self.slots[slot].vm_id);
        self.next_vm(slot);
    }

    /// Whether OpenNebula lets the user do this now. Guests act only where the pool runs them.
    pub fn allows(&self, slot: usize, operation: Operation) -> bool {
        use Operation::{
            Attach, Delete, Deploy, Detach, GuestPowersOff, GuestWrites, Migrate, Monitor, PowerOff, Reboot,
            Resume, Revert, Snapshot, SnapshotDelete, Suspend, Terminate,
        };
        let vm = &self.slots[slot];
        let is_off = [State::Pending, State::BootFailure, State::PowerOff].contains(&vm.state);
        let can_change = vm.state == State::Running && !vm.ends && vm.snapshots.is_empty();
        let has_fourth = vm.disks.iter().any(|disk| disk.disk_id == HOTPLUGGED);
        match operation {
            Deploy => is_off,
            GuestWrites { disk, .. } => disk < vm.disks.len() && !vm.ends && self.running(slot).is_some(),
            GuestPowersOff => !vm.ends && self.running(slot).is_some(),
            PowerOff { .. } | Suspend | Reboot { .. } => vm.state == State::Running && !vm.ends,
            Attach => can_change && !has_fourth,
            Detach => can_change && has_fourth,
            Migrate => can_change,
            // oned gives a VM's disks no other snapshots; ours need the same disks.
            Snapshot => vm.state == State::Running && !vm.ends && vm.snapshots.len() < 3,
            Revert | SnapshotDelete => vm.state == State::Running && !vm.ends && !vm.snapshots.is_empty(),
            Resume => vm.state == State::Suspended,
            Terminate { .. } => match vm.state {
                State::Running => true,
                // No script of ours is called then: the image is what `disk.N` is.
                State::PowerOff | State::Suspended => self.persistent_files_are_newest(slot),
                State::Pending | State::BootFailure => false,
            },
            Monitor | Delete => vm.state != State::Pending,
        }
    }

    pub fn persistent_files_are_newest(&self, slot: usize) -> bool {
        let disks = self.slots[slot].disks.iter().enumerate();
        disks
            .filter(|(_, disk)| disk.kind == Kind::Persistent)
            .all(|(index, disk)| disk::file_holds(&self.file(slot, index), &disk.bytes))
    }

    /// The record of the VM that runs, if it does.
    pub fn running(&self, slot: usize) -> Option<String> {
        let pool = Pool::read(&self.host);
        let records = pool.records(self.slots[slot].vm_id);
        records.into_iter().find(|vm| power_state(vm) == "running").map(|vm| vm.uuid.clone())
    }

    /// Calls the scripts of an operation, and takes over what OpenNebula makes of their answers. None where no
    /// script is called.
    pub fn run(&mut self, slot: usize, operation: Operation) -> Option<Said> {
        match operation {
            Operation::Deploy => Some(self.deploy(slot)),
            Operation::PowerOff { hard } => {
                let said = self.leave(slot, hard, 18);
                if said.code == Some(0) {
                    self.slots[slot].state = State::PowerOff;
                }
                Some(said)
            }
            Operation::Terminate { hard } => self.terminate(slot, hard),
            Operation::Suspend => Some(self.suspend(slot)),
            Operation::Resume => Some(self.resume(slot)),
            Operation::Reboot { hard } => {
                let uuid = self.slots[slot].deploy_id.clone();
                let script = if hard { "reset" } else { "reboot" };
                Some(self.script(slot, script, &[&uuid, self.slots[slot].host], 3))
            }
            Operation::Attach => Some(self.attach(slot)),
            Operation::Detach => Some(self.detach(slot)),
            Operation::Migrate => Some(self.migrate(slot)),
            Operation::Snapshot => Some(self.snapshot(slot)),
            Operation::Revert => Some(self.revert(slot)),
            Operation::SnapshotDelete => Some(self.delete_snapshot(slot)),
            Operation::Delete => {
                let said = (!self.slots[slot].deploy_id.is_empty()).then(|| self.leave(slot, true, 23));
                self.end_vm(slot, false);
                said
            }
            Operation::GuestWrites { .. } | Operation::GuestPowersOff | Operation::Monitor => None,
        }
    }

    /// Runs a script on the host where OpenNebula takes the VM to be; `args` come before the VM's id and the host.
    fn script(&self, slot: usize, script: &str, args: &[&str], lcm_state: u32) -> Said {
        let vm = &self.slots[slot];
        let message = self.documents.message(&vm.described(lcm_state));
        self.run_script(slot, script, args, &message)
    }

    fn run_script(&self, slot: usize, script: &str, args: &[&str], stdin: &[u8]) -> Said {
        let vm = &self.slots[slot];
        let (mut command, stdin) = self.host.action(script, args, stdin);
        command.args([&vm.vm_id.to_string(), vm.host]).env("DATASTORE_LOCATION", self.datastores(vm.host));
        said(&mut command, &stdin)
    }

    fn deploy(&mut self, slot: usize) -> Said {
        let vm = &self.slots[slot];
        let lcm_state = if vm.state == State::PowerOff { 20 } else { 2 };
        let document = self.documents.deployment(&vm.described(lcm_state));
        let file = self.folder(slot).join("deployment.0");
        let said = self.run_script(slot, "deploy", &[file.to_str().unwrap(), vm.host], &document);
        let vm = &mut self.slots[slot];
        if said.code == Some(0) {
            vm.state = State::Running;
            said.stdout.split_whitespace().next().unwrap_or("-").clone_into(&mut vm.deploy_id);
        } else if vm.state != State::PowerOff {
            vm.state = State::BootFailure;
        }
        said
    }

    fn leave(&self, slot: usize, hard: bool, lcm_state: u32) -> Said {
        let uuid = self.slots[slot].deploy_id.clone();
        self.script(
            slot,
            if hard { "cancel" } else { "shutdown" },
            &[&uuid, self.slots[slot].host],
            lcm_state,
        )
    }

    fn terminate(&mut self, slot: usize, hard: bool) -> Option<Said> {
        if self.slots[slot].state != State::Running {
            self.end_vm(slot, true);
            return None;
        }
        let said = self.leave(slot, hard, 12);
        if said.code == Some(0) {
            self.end_vm(slot, true);
        } else {
            self.slots[slot].ends = true;
        }
        Some(said)
    }

    fn checkpoint(&self, slot: usize) -> String {
        self.folder(slot).join("checkpoint").display().to_string()
    }

    fn suspend(&mut self, slot: usize) -> Said {
        let uuid = self.slots[slot].deploy_id.clone();
        let said = self.script(slot, "save", &[&uuid, &self.checkpoint(slot), self.slots[slot].host], 5);
        if said.code == Some(0) {
            self.slots[slot].state = State::Suspended;
        }
        said
    }

    fn resume(&mut self, slot: usize) -> Said {
        let uuid = self.slots[slot].deploy_id.clone();
        let said = self.script(slot, "restore", &[&self.checkpoint(slot), self.slots[slot].host, &uuid], 21);
        if said.code == Some(0) {
            self.slots[slot].state = State::Running;
        }
        said
    }

    /// The image's file comes first; if the script fails, OpenNebula takes it away again.
    fn attach(&mut self, slot: usize) -> Said {
        let image = self.image(slot, HOTPLUGGED);
        let file = disk::file(&self.folder(slot), HOTPLUGGED);
        let bytes = fs::read(&image).unwrap();
        fs::copy(&image, &file).unwrap();
        self.slots[slot].disks.push(Disk::new(HOTPLUGGED, Kind::Persistent, bytes));
        let said = self.hotplug(slot, "attach_disk");
        if said.code != Some(0) {
            self.slots[slot].disks.pop();
            fs::rename(file, image).unwrap();
        }
        said
    }

    fn detach(&mut self, slot: usize) -> Said {
        let said = self.hotplug(slot, "detach_disk");
        if said.code == Some(0) {
            let disk = self.slots[slot].disks.pop().unwrap();
            let file = disk::file(&self.folder(slot), HOTPLUGGED);
            self.detached_as_written = disk::file_holds(&file, &disk.bytes);
            fs::rename(file, self.image(slot, HOTPLUGGED)).unwrap();
        }
        said
    }

    /// `attach_disk` has the message among its arguments too.
    fn hotplug(&self, slot: usize, script: &str) -> Said {
        let vm = &self.slots[slot];
        let disk = vm.disks.last().unwrap();
        let file = disk::file(&self.folder(slot), HOTPLUGGED).display().to_string();
        let message = self.documents.message(&vm.described(HOTPLUG));
        let in_base64 = base64::engine::general_purpose::STANDARD.encode(&message);
        let (target, device) = (disk.target(), disk.device());
        let mut args = vec![vm.deploy_id.as_str(), &file, &target, &device];
        if script == "attach_disk" {
            args.push(&in_base64);
        }
        self.run_script(slot, script, &args, &message)
    }

    /// Afterwards `tm/postmigrate` of `ssh` and `local` removes the folder from the source.
    fn migrate(&mut self, slot: usize) -> Said {
        let vm = &self.slots[slot];
        let (from, uuid) = (vm.host, vm.deploy_id.clone());
        let to = if from == HOSTS[0] { HOSTS[1] } else { HOSTS[0] };
        let said = self.script(slot, "migrate", &[&uuid, to, from], 4);
        if said.code == Some(0) {
            fs::remove_dir_all(self.folder(slot)).unwrap();
            self.slots[slot].host = to;
            // On real hosts it is the same path.
            let mark = format!("other-config:one_folder={}", self.folder(slot).display());
            self.host.xe(&["vm-param-set", &format!("uuid={uuid}"), &mark]);
        }
        said
    }

    fn snapshot(&mut self, slot: usize) -> Said {
        let vm = &self.slots[slot];
        let (uuid, number) = (vm.deploy_id.clone(), vm.snapshots.len().to_string());
        let said = self.script(slot, "snapshot_create", &[&uuid, &number], 24);
        if said.code == Some(0) {
            let vm = &mut self.slots[slot];
            let disks = vm.disks.iter().map(|disk| disk.bytes.clone()).collect();
            vm.snapshots.push(Snapshot { id: said.stdout.trim().to_owned(), disks });
        }
        said
    }

    /// To the last snapshot. One that failed may have reverted the disks, all of them or none.
    fn revert(&mut self, slot: usize) -> Said {
        let vm = &self.slots[slot];
        let (uuid, id) = (vm.deploy_id.clone(), vm.snapshots.last().unwrap().id.clone());
        let said = self.script(slot, "snapshot_revert", &[&uuid, &id], 25);
        if said.code == Some(0) || self.has_reverted(slot) {
            let vm = &mut self.slots[slot];
            for (disk, bytes) in vm.disks.iter_mut().zip(&vm.snapshots.last().unwrap().disks) {
                disk.bytes.clone_from(bytes);
            }
        }
        said
    }

    /// Whether the VM's VDIs hold what its last snapshot does.
    fn has_reverted(&self, slot: usize) -> bool {
        let (pool, vm) = (Pool::read(&self.host), &self.slots[slot]);
        let held = |disk: &Disk| pool.vdi_in(&vm.deploy_id, &disk.device()).map(|vdi| pool.bytes(&vdi));
        let mut disks = vm.disks.iter().zip(&vm.snapshots.last().unwrap().disks);
        disks.all(|(disk, bytes)| held(disk).is_some_and(|held| disk::holds(&held, bytes)))
    }

    fn delete_snapshot(&mut self, slot: usize) -> Said {
        let vm = &self.slots[slot];
        let (uuid, id) = (vm.deploy_id.clone(), vm.snapshots.last().unwrap().id.clone());
        let said = self.script(slot, "snapshot_delete", &[&uuid, &id], 26);
        if said.code == Some(0) {
            self.slots[slot].snapshots.pop();
        }
        said
    }

    /// What the next STATE_VM tells OpenNebula, and what it makes of it. The monitoring client has the persistent disks
    /// of a VM that is off written back first, and tells of it after three failures all the same. Gives back what the last
    /// try said.
    pub fn monitor(&mut self, slot: usize) -> Option<Said> {
        let said = self.write_back(slot);
        self.hears(slot);
        said
    }

    fn write_back(&self, slot: usize) -> Option<Said> {
        let vm = &self.slots[slot];
        let pool = Pool::read(&self.host);
        let is_off = pool.find(&vm.deploy_id).is_some_and(|record| power_state(record) == "halted")
            && pool.records(vm.vm_id).into_iter().all(|record| power_state(record) == "halted");
        if !is_off || ![State::Running, State::Suspended].contains(&vm.state) {
            return None;
        }
        let id = vm.vm_id.to_string();
        let write_back = || {
            let mut command = self.host.command(PROGRAM);
            command.args(["write_back", &vm.deploy_id, &id, vm.host]);
            said(command.env("DATASTORE_LOCATION", self.datastores(vm.host)), b"")
        };
        let mut said = write_back();
        for _ in 1..3 {
            if said.code != Some(0) {
                said = write_back();
            }
        }
        Some(said)
    }

    fn hears(&mut self, slot: usize) {
        let pool = Pool::read(&self.host);
        let records = pool.records(self.slots[slot].vm_id);
        let state_of = |state| records.iter().find(|vm| power_state(vm) == state);
        let vm = &mut self.slots[slot];
        if let Some(running) = state_of("running") {
            (vm.state, vm.deploy_id) = (State::Running, running.uuid.clone());
        } else if state_of("suspended").is_some() {
            if vm.state == State::Running {
                vm.state = State::Suspended;
            }
        } else if [State::Running, State::Suspended].contains(&vm.state) {
            vm.state = State::PowerOff;
        }
    }
}

/// Bytes of a disk that is told from every other.
fn filled(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; SIZE_BYTES];
    for (place, at) in (0..SIZE_BYTES).step_by(64 << 10).enumerate() {
        bytes[at..at + 8].copy_from_slice(&(seed << 16 | place as u64 | 1 << 60).to_le_bytes());
    }
    bytes
}
